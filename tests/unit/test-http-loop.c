/* SPDX-License-Identifier: MIT */
/* HTTP requests on an event loop. */
#include "tests/unit/http-responder.h"

typedef struct Async {
    sd_event *event;
    HttpClient *client;
    int done, expected, last_status, last_r;
    char last_id[64];
    HttpCall *victim;
    bool free_client;
    const char *again;
} Async;

static void async_done(HttpCall *call, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Async *a = userdata;

    a->done++;
    a->last_r = r;
    a->last_status = response->status;
    snprintf(a->last_id, sizeof(a->last_id), "%s", r < 0 ? error_id(err) : "");
    if (r >= 0)
        assert_int_equal(strlen(response->body), response->body_len);
    http_call_free(call); /* too late: does nothing */
    a->victim = http_call_free(a->victim);
    if (a->again) {
        HttpRequest q = { .url = a->again, .timeout_usec = LONG };

        a->again = NULL;
        assert_int_equal(http_start(a->client, &q, async_done, a, NULL, NULL), 0);
    }
    if (a->free_client)
        a->client = http_client_free(a->client);
    if (a->done == a->expected)
        assert_true(sd_event_exit(a->event, 0) >= 0);
}

static void async_begin(Async *a)
{
    assert_true(sd_event_new(&a->event) >= 0);
    assert_int_equal(http_client_new(a->event, &a->client, NULL), 0);
}

static void async_end(Async *a)
{
    http_client_free(a->client);
    sd_event_unref(a->event);
}

static HttpCall *async_get(Async *a, const char *path, usec_t timeout)
{
    HttpCall *call = NULL;
    char *url = url_of(path);
    Error err = {};

    assert_int_equal(
        http_start(a->client, &(HttpRequest) { .url = url, .timeout_usec = timeout }, async_done, a, &call, &err), 0);
    memset(url, 'X', strlen(url)); /* was copied */
    free(url);
    return call;
}

static void test_loop_request(void **state)
{
    Async a = { .expected = 1 };

    (void) state;
    async_begin(&a);
    async_get(&a, "/hello", LONG);
    assert_int_equal(a.done, 0);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_int_equal(a.last_status, 200);
    async_end(&a);
}

static void test_loop_failures(void **state)
{
    static const struct {
        const char *path, *id;
        usec_t timeout;
    } cases[] = { { "/never", "http.timeout", 200 * USEC_PER_MSEC },
                  { "/big", "http.too-large", LONG },
                  { "/garbage", "http.failed", LONG } };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Async a = { .expected = 1 };

        async_begin(&a);
        async_get(&a, cases[i].path, cases[i].timeout);
        assert_int_equal(sd_event_loop(a.event), 0);
        assert_true(a.last_r < 0);
        assert_string_equal(a.last_id, cases[i].id);
        async_end(&a);
    }
    Async a = {};
    HttpCall *call = NULL;
    Error err = {};
    async_begin(&a);
    HttpRequest bad = { .url = "${X}", .timeout_usec = 1 };
    assert_int_equal(http_start(a.client, &bad, async_done, &a, &call, &err), -EINVAL);
    assert_null(call);
    error_done(&err);
    async_end(&a);
}

static void test_loop_cancel_and_chain(void **state)
{
    _cleanup_(freep) char *teapot = url_of("/teapot");
    Async a = { .expected = 2, .again = teapot };

    (void) state;
    async_begin(&a);
    a.victim = async_get(&a, "/never", LONG);
    HttpCall *silent = async_get(&a, "/never", LONG);
    http_call_free(silent);
    async_get(&a, "/hello", LONG);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_int_equal(a.done, 2);
    assert_int_equal(a.last_status, 418);
    async_end(&a);
}

static void test_loop_client_freed_in_callback(void **state)
{
    Async a = { .expected = 1, .free_client = true };

    (void) state;
    async_begin(&a);
    async_get(&a, "/never", LONG);
    async_get(&a, "/hello", LONG);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_null(a.client);
    async_end(&a);
}

static void test_loop_reuse(void **state)
{
    Async a = { .expected = 2 };
    _cleanup_(freep) char *url = url_of("/twice");
    HttpRequest q = { .url = url, .timeout_usec = LONG, .reuse = true };

    (void) state;
    async_begin(&a);
    http_client_limit_host(a.client, 1);
    assert_int_equal(http_start(a.client, &q, async_done, &a, NULL, NULL), 0);
    assert_int_equal(http_start(a.client, &q, async_done, &a, NULL, NULL), 0);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_int_equal(a.last_status, 201); /* the second on the same connection */
    async_end(&a);
}

static int cancel_self(const char *data, size_t len, void *userdata)
{
    Async *a = userdata;

    (void) data;
    (void) len;
    assert_non_null(a->victim); /* once, then silence */
    a->victim = http_call_free(a->victim);
    return 0;
}

static void test_loop_cancel_from_on_data(void **state)
{
    _cleanup_(freep) char *url = url_of("/big");
    Async a = { .expected = 1 };
    HttpRequest q = { .url = url, .timeout_usec = LONG, .on_data = cancel_self, .userdata = &a };

    (void) state;
    async_begin(&a);
    assert_int_equal(http_start(a.client, &q, async_done, &a, &a.victim, NULL), 0);
    while (a.victim)
        assert_true(sd_event_run(a.event, USEC_PER_SEC) >= 0);
    async_get(&a, "/hello", LONG);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.last_status, 200);
    async_end(&a);
}

typedef struct Slow {
    HttpCall *call;
    unsigned heads, pieces;
    int status;
    char length[64];
    size_t len;
    bool pause;
} Slow;

static int slow_head(const HttpResponse *head, void *userdata)
{
    Slow *s = userdata;

    assert_int_equal(s->pieces, 0);
    s->heads++;
    s->status = head->status;
    assert_non_null(http_response_header(head, "Content-Length", 0));
    snprintf(s->length, sizeof(s->length), "%s", http_response_header(head, "Content-Length", 0));
    return 0;
}

static int slow_data(const char *data _unused_, size_t len, void *userdata)
{
    Slow *s = userdata;

    s->pieces++;
    s->len += len;
    if (s->pause)
        http_call_pause(s->call, true);
    return 0;
}

/* What is not read stays with the server, and comes when it is asked for. */
static void test_loop_pause(void **state)
{
    static const char *const kept[] = { "Content-Length", NULL };
    _cleanup_(freep) char *url = url_of("/full");
    Async a = { .expected = 1 };
    Slow slow = { .pause = true };
    HttpRequest q = { .url = url,
                      .timeout_usec = LONG,
                      .keep_headers = kept,
                      .on_head = slow_head,
                      .on_data = slow_data,
                      .userdata = &slow };
    size_t before;

    (void) state;
    async_begin(&a);
    assert_int_equal(http_start(a.client, &q, async_done, &a, &slow.call, NULL), 0);
    while (slow.len == 0)
        assert_true(sd_event_run(a.event, USEC_PER_SEC) >= 0);
    before = slow.len;
    for (unsigned i = 0; i < 100; i++)
        assert_true(sd_event_run(a.event, 1000) >= 0);
    assert_int_equal(slow.len, before);
    assert_true(before < HTTP_BODY_MAX);
    slow.pause = false;
    http_call_pause(slow.call, false);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_int_equal(slow.len, HTTP_BODY_MAX);
    assert_int_equal(slow.heads, 1);
    assert_int_equal(slow.status, 200);
    assert_int_equal(strtoul(slow.length, NULL, 10), HTTP_BODY_MAX);
    async_end(&a);
}

static int stop_at_head(const HttpResponse *head _unused_, void *userdata _unused_)
{
    return -1;
}

static void test_loop_stopped_at_head(void **state)
{
    _cleanup_(freep) char *url = url_of("/full");
    Async a = { .expected = 1 };
    Slow slow = {};
    HttpRequest q = {
        .url = url, .timeout_usec = LONG, .on_head = stop_at_head, .on_data = slow_data, .userdata = &slow
    };

    (void) state;
    async_begin(&a);
    assert_int_equal(http_start(a.client, &q, async_done, &a, NULL, NULL), 0);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_true(a.last_r < 0);
    assert_int_equal(slow.pieces, 0);
    async_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_request),
        cmocka_unit_test(test_loop_failures),
        cmocka_unit_test(test_loop_cancel_and_chain),
        cmocka_unit_test(test_loop_client_freed_in_callback),
        cmocka_unit_test(test_loop_cancel_from_on_data),
        cmocka_unit_test(test_loop_reuse),
        cmocka_unit_test(test_loop_pause),
        cmocka_unit_test(test_loop_stopped_at_head),
    };

    return cmocka_run_group_tests_name("http-loop", tests, setup, teardown);
}
