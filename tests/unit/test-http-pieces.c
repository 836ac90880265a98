/* SPDX-License-Identifier: MIT */
/* Bodies that a handler takes piece by piece: pauses, ends of all kinds, and what comes behind them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/server.h"
#include "tests/unit/http-caller.h"

/* A safety net for a broken implementation, not a measure of speed. */
#define LONG_MAX_BYTES ((size_t) 3 * 1024 * 1024)

typedef struct World {
    sd_event *event;
    HttpServer *server;
    HttpExchange *x;
    sd_event_source *timer;
    size_t got;
    unsigned handled, ended, gone, pauses;
    uint32_t sum;
} World;

static void on_gone(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    assert_ptr_equal(x, w->x);
    w->x = NULL;
    w->gone++;
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
    World *w = userdata;
    (void) source;
    (void) usec;
    if (w->x)
        http_body_pause(w->x, false);
    return 0;
}

static void on_body(HttpExchange *x, const char *data, size_t len, void *userdata)
{
    World *w = userdata;
    assert_ptr_equal(x, w->x);
    w->got += len;
    for (size_t i = 0; i < len; i++)
        w->sum = w->sum * 31 + (uint8_t) data[i];
    if (len == 0) {
        _cleanup_(freep) char *text = str_format("got %zu", w->got);
        w->ended++;
        w->x = NULL;
        http_respond(x, 200, "text/plain", text, strlen(text), NULL);
    } else if (str_equal(http_path(x), "/long/enough")) {
        w->x = NULL;
        http_respond(x, 409, "text/plain", "enough", 6, NULL);
    } else if (str_equal(http_path(x), "/long/pause")) {
        http_body_pause(x, true);
        w->pauses++;
        assert_true(timer_arm(w->event, &w->timer, 100, on_resume, w) >= 0);
    }
}

static int on_later(sd_event_source *source, uint64_t usec, void *userdata)
{
    World *w = userdata;
    (void) source;
    (void) usec;
    assert_int_equal(w->got, 0);
    http_body_receive(w->x, on_body, w);
    return 0;
}

static void handler(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    w->handled++;
    if (!http_body_is_coming(x)) {
        size_t len;
        _cleanup_(freep) char *text = str_format("whole %s", http_body(x, &len));
        http_respond(x, 200, "text/plain", text, strlen(text), NULL);
        return;
    }
    w->x = x;
    w->got = 0;
    w->sum = 0;
    http_on_gone(x, on_gone, w);
    if (str_equal(http_path(x), "/long/refuse")) {
        w->x = NULL;
        http_respond(x, 403, "text/plain", "no", 2, NULL);
    } else if (str_equal(http_path(x), "/long/later")) {
        assert_true(timer_arm(w->event, &w->timer, 20 * USEC_PER_MSEC, on_later, w) >= 0);
    } else {
        http_body_receive(x, on_body, w);
    }
}

static size_t long_body(const HttpExchange *x, void *userdata)
{
    (void) userdata;
    return str_starts(http_path(x), "/long/") ? LONG_MAX_BYTES : 0;
}

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    HttpServerOptions options = {
        .address = "127.0.0.1",
        .long_body = long_body,
        .handler = handler,
        .userdata = w,
    };
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    http_server_free(w->server);
    sd_event_source_disable_unref(w->timer);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

static char *pattern(size_t len, uint32_t *ret_sum)
{
    char *text = malloc(len + 1);
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        text[i] = (char) ('a' + i * 7919 % 26);
        sum = sum * 31 + (uint8_t) text[i];
    }
    text[len] = '\0';
    *ret_sum = sum;
    return text;
}

static void run(World *w, const char *path, size_t len)
{
    static const char next[] = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    uint32_t sum;
    _cleanup_(buf_done) Buf out = BUF_INIT(65536);
    _cleanup_(freep) char *body = pattern(len, &sum);
    _cleanup_(freep) char *head = str_format("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", path, len);
    _cleanup_(freep) char *wanted = str_format("got %zu", len);
    int fd = client_open(w->server);

    client_send(w->event, fd, head, strlen(head));
    client_send(w->event, fd, body, len);
    client_send(w->event, fd, next, strlen(next));
    client_read(w->event, fd, &out, NULL);
    close(fd);
    assert_non_null(strstr(out.data, wanted));
    assert_non_null(strstr(out.data, "whole ")); /* the connection went on */
    assert_int_equal(w->sum, sum);
    assert_int_equal(w->ended, 1);
    assert_int_equal(w->handled, 2);
    assert_int_equal(w->gone, 0);
}

static void test_at_once(void **state)
{
    run(*state, "/long/now", LONG_MAX_BYTES);
}

static void test_later(void **state)
{
    run(*state, "/long/later", 2 * 1024 * 1024);
}

static void test_pauses(void **state)
{
    World *w = *state;

    run(w, "/long/pause", 2 * 1024 * 1024 + 1);
    assert_true(w->pauses > 8);
}

/* A client that asks whether it may send is told when the handler wants it. */
static void test_continue(void **state)
{
    World *w = *state;
    _cleanup_(buf_done) Buf out = BUF_INIT(65536);
    static const char head[] = "POST /long/later HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                               "Expect: 100-continue\r\nConnection: close\r\n\r\n";
    int fd = client_open(w->server);

    client_send(w->event, fd, head, strlen(head));
    client_read(w->event, fd, &out, "100 Continue\r\n\r\n");
    client_send(w->event, fd, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 20);
    client_read(w->event, fd, &out, NULL);
    close(fd);
    assert_non_null(strstr(out.data, "got 5"));
}

static void check_end(World *w, const char *request, size_t more, const char *wanted, unsigned gone)
{
    uint32_t sum;
    _cleanup_(buf_done) Buf out = BUF_INIT(65536);
    _cleanup_(freep) char *body = pattern(more, &sum);
    int fd = client_open(w->server);

    client_send(w->event, fd, request, strlen(request));
    client_send(w->event, fd, body, more);
    client_read(w->event, fd, &out, NULL);
    close(fd);
    assert_non_null(strstr(out.data, wanted));
    assert_non_null(strstr(out.data, "Connection: close"));
    assert_null(strstr(out.data, "got "));
    assert_int_equal(w->gone, gone);
    assert_null(w->x);
}

#define POST(path) "POST " path " HTTP/1.1\r\nHost: a\r\n"

static void test_other_ends(void **state)
{
    World *w = *state;

    check_end(w, POST("/long/now") "Content-Length: 3145729\r\n\r\n", 0, "413 Content Too Large", 0);
    check_end(w, POST("/short") "Content-Length: 1048577\r\n\r\n", 0, "413 Content Too Large", 0);
    assert_int_equal(w->handled, 0);
    check_end(w, POST("/long/refuse") "Content-Length: 3000000\r\n\r\n", 1000000, "403 Forbidden", 0);
    check_end(w, POST("/long/enough") "Content-Length: 3000000\r\n\r\n", 1000000, "409 Conflict", 0);
    check_end(w, POST("/long/now") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz", 0, "400 Bad Request", 1);
    check_end(w, POST("/long/now") "Transfer-Encoding: chunked\r\n\r\n300001\r\n", 0, "413 Content Too Large", 2);
}

/* Chunks that are small enough one by one. */
static void test_sum_of_chunks(void **state)
{
    World *w = *state;
    uint32_t sum;
    _cleanup_(buf_done) Buf out = BUF_INIT(65536);
    _cleanup_(freep) char *body = pattern(0x100000, &sum);
    static const char head[] = POST("/long/now") "Transfer-Encoding: chunked\r\n\r\n";
    int fd = client_open(w->server);

    client_send(w->event, fd, head, strlen(head));
    for (unsigned i = 0; i < 4; i++) {
        client_send(w->event, fd, "100000\r\n", 8);
        client_send(w->event, fd, body, 0x100000);
        client_send(w->event, fd, "\r\n", 2);
    }
    client_read(w->event, fd, &out, NULL);
    close(fd);
    assert_non_null(strstr(out.data, "413 Content Too Large"));
    assert_int_equal(w->gone, 1);
    assert_int_equal(w->ended, 0);
}

/* The client goes away while the handler has it, before it wants the body and in the middle. */
static void test_client_goes(void **state)
{
    static const char *const paths[] = { "/long/later", "/long/now", "/long/pause" };
    World *w = *state;

    for (unsigned i = 0; i < 3; i++) {
        _cleanup_(freep) char *head =
            str_format("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", paths[i]);
        usec_t start = boottime_usec();
        struct linger reset = { .l_onoff = 1 };
        int fd = client_open(w->server);

        client_send(w->event, fd, head, strlen(head));
        client_send(w->event, fd, head, strlen(head)); /* some of the body */
        while (w->handled == i)
            assert_true(sd_event_run(w->event, 1000) >= 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        close(fd);
        while (w->gone == i) {
            assert_true(sd_event_run(w->event, 1000) >= 0);
            assert_true(boottime_usec() - start < PATIENCE);
        }
        timer_disarm(w->timer);
    }
    assert_int_equal(w->ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pauses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_continue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sum_of_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_goes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
