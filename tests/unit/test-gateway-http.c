/* SPDX-License-Identifier: MIT */
/* Which route a request takes, who is let through, and how it waits for news: over real connections, with a database that is
 * never there. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "gateway/http/operator-auth.h"
#include "gateway/http/router.h"
#include "gateway/http/token-addresses.h"
#include "gateway/store/schema.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"

/* A safety net for a broken implementation, not a measure of speed. */
#define PATIENCE (120 * USEC_PER_SEC)

typedef struct World {
    sd_event *event;
    Store *store;
    HttpServer *server;
    Requests *requests;
    OperatorTokens *tokens;
    Router *router;
    unsigned waiting;
    char last[RANDOM_ID_SIZE];
} World;

static void show(Request *c)
{
    _cleanup_(freep) char *text =
        str_format("%s %s %s", c->route->help, c->args[0] ? c->args[0] : "-", c->args[1] ? c->args[1] : "-");
    request_answer_text(c, 200, text);
}

static void take(Request *c)
{
    size_t len = 0;
    const char *body = http_body(c->exchange, &len);
    _cleanup_(freep) char *text = str_format("took %zu %.10s", len, body);
    request_answer_text(c, 200, text);
}

static void on_news(Request *c, const void *news)
{
    World *w = c->module;
    w->waiting--;
    request_answer_text(c, 200, news ? news : "nothing");
}

static void on_first_news(Request *c, const void *news _unused_)
{
    request_wait(c, PATIENCE, on_news, "second/%s", c->args[0]);
}

/* args[0]: the topic; args[1]: the seconds. */
static void wait_for(Request *c)
{
    World *w = c->module;
    uint64_t seconds = 0;
    bool twice = str_equal(c->args[0], "twice");
    assert_true(str_to_u64(c->args[1], 0, UINT32_MAX, &seconds) >= 0);
    memcpy(w->last, c->id, sizeof(w->last));
    w->waiting++;
    request_wait(c, seconds * USEC_PER_SEC, twice ? on_first_news : on_news, "first/%s/%" PRIu64, c->args[0],
                 (uint64_t) 7);
}

static const Route first_routes[] = {
    { "GET", "/v1/devices/*/things/*", ACCESS_ANYONE, show, "thing" },
    { "GET", "/v1/devices/*", ACCESS_ANYONE, show, "device" },
    { "POST", "/v1/devices/*", ACCESS_OPERATOR, show, "change" },
    { "GET", "/wait/*/*", ACCESS_ANYONE, wait_for, "wait" },
    { "GET", "/*/*/other", ACCESS_ANYONE, show, "stars" },
    { "POST", "/take", ACCESS_ANYONE, take, "body" },
    {},
};

static const Route second_routes[] = {
    { "GET", "/a/b/c", ACCESS_ANYONE, show, "words" },
    { "DELETE", "/v1/devices/*", ACCESS_ANYONE, show, "away" },
    { "GET", "/v1/devices/*", ACCESS_ANYONE, show, "hidden" },
    {},
};

static void handler(HttpExchange *x, void *userdata)
{
    router_handle(((World *) userdata)->router, x);
}

static void on_down(Store *s _unused_, usec_t retry_in _unused_, const Error *err _unused_, void *userdata _unused_)
{
}

static int setup(void **state)
{
    static const StoreEvents events = { .on_down = on_down };
    World *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    const HttpServerOptions options = { .address = "127.0.0.1", .head_first = true, .handler = handler, .userdata = w };
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(store_new(w->event, "host=/nonexistent", &gateway_schema, &events, w, &w->store, NULL) >= 0);
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    w->requests = requests_new(w->event, w->store);
    w->tokens = operator_tokens_new(w->event, w->store, operator_tokens_tell, w->requests);
    assert_non_null(w->tokens);
    w->router = router_new(w->requests, w->tokens);
    assert_non_null(w->router);
    assert_int_equal(router_add(w->router, first_routes, w), 0);
    assert_int_equal(router_add(w->router, second_routes, NULL), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    requests_free(w->requests);
    operator_tokens_free(w->tokens);
    router_free(w->router);
    http_server_free(w->server);
    store_free(w->store);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

static void turn(World *w)
{
    assert_true(sd_event_run(w->event, 1000) >= 0);
}

static int ask(World *w, const char *head)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(http_server_port(w->server)) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    _cleanup_(freep) char *text = str_format("%s\r\nHost: a\r\nConnection: close\r\n\r\n", head);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof(to)), 0);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t) strlen(text));
    return fd;
}

/* The whole answer, which ends with the connection. */
static void read_answer(World *w, int fd, Buf *out)
{
    usec_t start = boottime_usec();
    for (;;) {
        char data[4096];
        ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
        if (n == 0)
            break;
        if (n > 0) {
            assert_true(buf_append(out, data, (size_t) n) >= 0);
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        assert_true(boottime_usec() - start < PATIENCE);
        turn(w);
    }
    close(fd);
}

/* Both texts are in the answer. */
static void expect(World *w, int fd, const char *status, const char *body)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(64 * 1024);
    read_answer(w, fd, &out);
    const char *text = out.data ? out.data : "";
    if (!str_starts(text, status) || !strstr(text, body))
        fail_msg("\"%s\" and \"%s\" are not in \"%s\"", status, body, text);
}

static void check_match(const World *w, const char *method, const char *path, const char *help, const char *first,
                        const char *second)
{
    RouteMatch m;
    router_match(w->router, method, path, &m);
    assert_non_null(m.route);
    assert_string_equal(m.route->help, help);
    assert_ptr_equal(m.module,
                     m.route >= second_routes && m.route < second_routes + ELEMENTSOF(second_routes) ? NULL : w);
    assert_true(first ? str_equal(m.args[0], first) : !m.args[0]);
    assert_true(second ? str_equal(m.args[1], second) : !m.args[1]);
    assert_null(m.args[2]);
    route_match_done(&m);
}

static void check_no_match(const World *w, const char *method, const char *path, int status)
{
    RouteMatch m;
    router_match(w->router, method, path, &m);
    assert_null(m.route);
    assert_int_equal(m.status, status);
    for (size_t i = 0; i < ELEMENTSOF(m.args); i++)
        assert_null(m.args[i]);
}

static void test_routes(void **state)
{
    const World *w = *state;
    check_match(w, "GET", "/v1/devices/casa", "device", "casa", NULL);
    check_match(w, "GET", "/v1/devices/casa/things/7", "thing", "casa", "7");
    check_match(w, "POST", "/v1/devices/casa", "change", "casa", NULL);
    check_match(w, "DELETE", "/v1/devices/casa", "away", "casa", NULL);
    check_no_match(w, "GET", "/v1/devices", 404);
    check_no_match(w, "GET", "/v1/devices/", 404);
    check_no_match(w, "GET", "/v1/devices/casa/", 404);
    check_no_match(w, "GET", "/v1/devices//things/7", 404);
    check_no_match(w, "GET", "/v1/devices/casa/things/7/more", 404);
    check_no_match(w, "GET", "/V1/devices/casa", 404);
    check_no_match(w, "GET", "", 404);
    check_no_match(w, "PUT", "/v1/devices/casa", 405);
    check_no_match(w, "get", "/a/b/c", 405);
}

/* A route that was compared before, and fitted in part, leaves nothing behind. */
static void test_only_its_own_arguments(void **state)
{
    check_match(*state, "GET", "/a/b/c", "words", NULL, NULL);
    check_match(*state, "GET", "/a/b/other", "stars", "a", "b");
}

static void test_as_many_modules_as_there_are(void **state)
{
    World *w = *state;
    static const Route last[] = { { "GET", "/last", ACCESS_ANYONE, show, "last" }, {} };
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(router_add(w->router, second_routes, NULL), 0);
    assert_int_equal(router_add(w->router, last, w), 0);
    check_match(w, "GET", "/last", "last", NULL, NULL);
}

static void test_until_it_is_ready(void **state)
{
    World *w = *state;
    expect(w, ask(w, "GET /healthz HTTP/1.1"), "HTTP/1.1 503 ", "starting");
    expect(w, ask(w, "GET /a/b/c HTTP/1.1"), "HTTP/1.1 503 ", "\"store.unavailable\"");
    expect(w, ask(w, "GET /nowhere HTTP/1.1"), "HTTP/1.1 404 ", "\"request.not-found\"");
    router_set_ready(w->router);
    expect(w, ask(w, "GET /healthz HTTP/1.1"), "HTTP/1.1 200 ", "ok");
    expect(w, ask(w, "GET /a/b/c HTTP/1.1"), "HTTP/1.1 200 ", "words - -");
}

static void test_who_is_let_through(void **state)
{
    World *w = *state;
    static const char right[] = "POST /v1/devices/casa HTTP/1.1\r\nAuthorization: Bearer sbx_"
                                "0123456789abcdefghijklmnopqrstuvwxyz0123456";
    router_set_ready(w->router);
    expect(w, ask(w, "GET /v1/devices/casa HTTP/1.1"), "HTTP/1.1 200 ", "device casa -");
    expect(w, ask(w, "GET /v1/devices/.casa HTTP/1.1"), "HTTP/1.1 404 ", "\"device.not-found\"");
    expect(w, ask(w, "PUT /v1/devices/casa HTTP/1.1"), "HTTP/1.1 405 ", "PUT is not possible here");
    expect(w, ask(w, "POST /v1/devices/casa HTTP/1.1"), "HTTP/1.1 401 ", "\"operator.token-missing\"");
    expect(w, ask(w, "POST /v1/devices/casa HTTP/1.1"), "HTTP/1.1 401 ", "\"serverTime\"");
    expect(w, ask(w, "POST /v1/devices/casa HTTP/1.1\r\nAuthorization: Bearer x"), "HTTP/1.1 401 ",
           "\"operator.token-unknown\"");
    expect(w, ask(w, right), "HTTP/1.1 503 ", "\"store.unavailable\"");
    expect(w, ask(w, right), "HTTP/1.1 503 ", "Retry-After: 5\r\n");
}

/* None of these sends a byte of its body, and each has its answer. */
static void test_the_head_decides(void **state)
{
    World *w = *state;
    router_set_ready(w->router);
    expect(w, ask(w, "POST /nowhere HTTP/1.1\r\nContent-Length: 1000000"), "HTTP/1.1 404 ", "\"request.not-found\"");
    expect(w, ask(w, "PUT /take HTTP/1.1\r\nContent-Length: 5"), "HTTP/1.1 405 ", "\"request.method\"");
    expect(w, ask(w, "POST /v1/devices/casa HTTP/1.1\r\nContent-Length: 5"), "HTTP/1.1 401 ",
           "\"operator.token-missing\"");
    expect(w, ask(w, "POST /take HTTP/1.1\r\nContent-Length: 16385"), "HTTP/1.1 413 ", "\"http.too-large\"");
}

static void test_a_body_that_is_taken(void **state)
{
    World *w = *state;
    router_set_ready(w->router);
    expect(w, ask(w, "POST /take HTTP/1.1\r\nContent-Length: 0"), "HTTP/1.1 200 ", "took 0 ");
    int fd = ask(w, "POST /take HTTP/1.1\r\nContent-Length: 5");
    assert_int_equal(send(fd, "hel", 3, MSG_NOSIGNAL), 3);
    for (unsigned i = 0; i < 10; i++)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    assert_int_equal(send(fd, "lo", 2, MSG_NOSIGNAL), 2);
    expect(w, fd, "HTTP/1.1 200 ", "took 5 hello");
}

static void wait_until_waiting(World *w, unsigned n)
{
    usec_t start = boottime_usec();
    while (w->waiting != n) {
        assert_true(boottime_usec() - start < PATIENCE);
        turn(w);
    }
}

static void test_news_go_to_their_topic(void **state)
{
    World *w = *state;
    router_set_ready(w->router);
    int a = ask(w, "GET /wait/a/3600 HTTP/1.1"), b = ask(w, "GET /wait/a/3600 HTTP/1.1");
    int other = ask(w, "GET /wait/b/3600 HTTP/1.1");
    wait_until_waiting(w, 3);
    requests_tell(w->requests, "nobody's", "first/a/%d", 8);
    requests_tell(w->requests, "nobody's", "first/a");
    assert_int_equal(w->waiting, 3);
    requests_tell(w->requests, "news", "first/%s/%d", "a", 7);
    assert_int_equal(w->waiting, 1);
    expect(w, a, "HTTP/1.1 200 ", "news");
    expect(w, b, "HTTP/1.1 200 ", "news");
    requests_tell(w->requests, "other news", "first/b/7");
    expect(w, other, "HTTP/1.1 200 ", "other news");
    requests_tell(w->requests, "too late", "first/b/7");
    assert_int_equal(w->waiting, 0);
}

static void test_waiting_ends(void **state)
{
    World *w = *state;
    router_set_ready(w->router);
    expect(w, ask(w, "GET /wait/a/0 HTTP/1.1"), "HTTP/1.1 200 ", "nothing");
    assert_int_equal(w->waiting, 0);
    assert_null(requests_find(w->requests, w->last));
}

static void test_another_topic_later(void **state)
{
    World *w = *state;
    router_set_ready(w->router);
    int fd = ask(w, "GET /wait/twice/3600 HTTP/1.1");
    wait_until_waiting(w, 1);
    requests_tell(w->requests, "1", "first/twice/7");
    requests_tell(w->requests, "2", "first/twice/7");
    assert_int_equal(w->waiting, 1);
    requests_tell(w->requests, "3", "second/twice");
    expect(w, fd, "HTTP/1.1 200 ", "\r\n\r\n3");
}

static void test_the_client_goes_away(void **state)
{
    World *w = *state;
    usec_t start = boottime_usec();
    router_set_ready(w->router);
    int fd = ask(w, "GET /wait/a/3600 HTTP/1.1");
    wait_until_waiting(w, 1);
    assert_non_null(requests_find(w->requests, w->last));
    close(fd);
    while (requests_find(w->requests, w->last)) {
        assert_true(boottime_usec() - start < PATIENCE);
        turn(w);
    }
    requests_tell(w->requests, "news", "first/a/7");
    assert_int_equal(w->waiting, 1);
}

static void test_statuses(void **state _unused_)
{
    static const struct {
        int r, status;
    } cases[] = {
        { -EINVAL, 400 }, { -EKEYREJECTED, 401 }, { -EACCES, 403 },    { -ENOENT, 404 },
        { -EEXIST, 409 }, { -EBUSY, 409 },        { -EFBIG, 413 },     { -EBADMSG, 422 },
        { -EAGAIN, 429 }, { -ENOTCONN, 503 },     { -ETIMEDOUT, 504 }, { -ENOMEM, 500 },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(http_status_for(cases[i].r), cases[i].status);
}

static void test_the_address_of_a_peer(void **state)
{
    static const struct {
        const char *peer, *address;
    } cases[] = {
        { "192.0.2.1:443", "192.0.2.1" }, { "192.0.2.1", "192.0.2.1" },       { "[2001:db8::1]:443", "2001:db8::1" },
        { "2001:db8::1", "2001:db8::1" }, { "[2001:db8::1]", "2001:db8::1" }, { "", "" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *address = token_address_of(cases[i].peer);

        assert_string_equal(address, cases[i].address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_address_of_a_peer),
        cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_its_own_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_as_many_modules_as_there_are, setup, teardown),
        cmocka_unit_test_setup_teardown(test_until_it_is_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_let_through, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_head_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_body_that_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_news_go_to_their_topic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_topic_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_client_goes_away, setup, teardown),
        cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
