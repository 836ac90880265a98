/* SPDX-License-Identifier: MIT */
/* Answers of the HTTP server that are read from a source while they are sent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/server.h"
#include "tests/unit/http-caller.h"

/* A safety net for a broken implementation, not a measure of speed. */
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define GET_SOURCE "GET /source HTTP/1.1\r\nHost: a\r\n\r\n"
#define SOURCE_LEN ((size_t) 3 * 1024 * 1024 + 5)

typedef struct World {
    sd_event *event;
    HttpServer *server;
    size_t given, fail_at;
    usec_t max_usec;
    unsigned handled, sources_closed;
} World;

static int source_read(void *userdata, uint8_t *to, size_t len)
{
    World *w = userdata;
    if (w->fail_at && w->given + len > w->fail_at)
        return -EIO;
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t) ('a' + (w->given + i) % 23);
    w->given += len;
    return 0;
}

static void source_close(void *userdata)
{
    ((World *) userdata)->sources_closed++;
}

static void handler(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    w->handled++;
    if (str_equal(http_path(x), "/source"))
        http_respond_from(x, 206, "text/plain", SOURCE_LEN, &(HttpSource) { source_read, source_close, w, w->max_usec },
                          NULL);
    else
        http_respond(x, 200, "text/plain", "other", 5, NULL);
}

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    HttpServerOptions options = { .address = "127.0.0.1", .handler = handler, .userdata = w };
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    http_server_free(w->server);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

/* Whole and in order, and the request that came with it is answered behind it. */
static void test_source(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(SOURCE_LEN + 4096);
    static const char requests[] = GET_SOURCE GET "Connection: close\r\n\r\n";
    client_send(w->event, fd, requests, sizeof requests - 1);
    assert_true(client_read(w->event, fd, &out, NULL));
    assert_non_null(strstr(out.data, "HTTP/1.1 206 Partial Content\r\n"));
    assert_non_null(strstr(out.data, "Content-Length: 3145733\r\n"));
    const char *body = strstr(out.data, "\r\n\r\n") + 4;
    for (size_t i = 0; i < SOURCE_LEN; i++)
        assert_int_equal(body[i], 'a' + i % 23);
    assert_memory_equal(body + SOURCE_LEN, "HTTP/1.1 200 OK\r\n", 17);
    assert_int_equal(w->sources_closed, 1);
    assert_int_equal(w->handled, 2);
}

static void test_source_of_head(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(65536);
    static const char requests[] = "HEAD /source HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client_send(w->event, fd, requests, sizeof requests - 1);
    assert_true(client_read(w->event, fd, &out, NULL));
    assert_non_null(strstr(out.data, "Content-Length: 3145733\r\n"));
    assert_string_equal(out.data + out.len - 4, "\r\n\r\n");
    assert_int_equal(w->given, 0);
    assert_int_equal(w->sources_closed, 1);
}

/* The peer sees that it has not got all. */
static void test_source_fails(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(SOURCE_LEN + 4096);
    w->fail_at = SOURCE_LEN / 2;
    client_send(w->event, fd, GET_SOURCE GET "\r\n", strlen(GET_SOURCE GET "\r\n"));
    assert_true(client_read(w->event, fd, &out, NULL));
    assert_true(out.len < SOURCE_LEN);
    assert_int_equal(w->sources_closed, 1);
    assert_int_equal(w->handled, 1);
}

/* Who reads nothing is given no more than the socket takes; who goes away ends it. */
static void test_source_of_a_peer_that_goes(void **state)
{
    World *w = *state;
    int fd = client_open(w->server), small = 4096;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    client_send(w->event, fd, GET_SOURCE, strlen(GET_SOURCE));
    for (size_t before = SIZE_MAX; before != w->given || w->given == 0;) {
        before = w->given;
        for (int i = 0; i < 20; i++)
            assert_true(sd_event_run(w->event, 1000) >= 0);
    }
    assert_int_equal(w->sources_closed, 0);
    close(fd);
    while (!w->sources_closed)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    assert_true(w->given <= SOURCE_LEN);
}

/* However often it takes a little. */
static void test_source_of_a_peer_that_takes_too_long(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    int small = 4096;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    w->max_usec = 1;
    client_send(w->event, fd, GET_SOURCE, strlen(GET_SOURCE));
    for (char byte; !w->sources_closed; (void) !recv(fd, &byte, 1, MSG_DONTWAIT))
        assert_true(sd_event_run(w->event, 1000) >= 0);
    assert_true(w->given < SOURCE_LEN);
}

/* A server that ends closes what it was reading from. */
static void test_server_freed(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    client_send(w->event, fd, GET_SOURCE, strlen(GET_SOURCE));
    while (!w->given)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    w->server = http_server_free(w->server);
    assert_int_equal(w->sources_closed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_source_of_head, setup, teardown),
        cmocka_unit_test_setup_teardown(test_source_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_source_of_a_peer_that_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_source_of_a_peer_that_takes_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_freed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
