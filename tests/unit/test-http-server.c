/* SPDX-License-Identifier: MIT */
/* The HTTP server on loopback: raw requests in, whole answers out, upgrades, limits, and peers that go away. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/server.h"
#include "lib/http/server-conn.h"
#include "lib/websocket/accept.h"
#include "tests/unit/http-caller.h"

/* A safety net for a broken implementation, not a measure of speed. */

typedef struct World {
    sd_event *event;
    HttpServer *server;
    HttpExchange *parked;
    WsConn *ws;
    unsigned handled, gone, ws_closed, to_write;
    uint16_t ws_code;
} World;

static void on_text(WsConn *c, const char *text, size_t len, void *userdata)
{
    (void) userdata;
    assert_true(ws_conn_send_text(c, text, len) >= 0);
}

static void on_ws_closed(WsConn *c, uint16_t code, const Error *err, void *userdata)
{
    World *w = userdata;
    assert_non_null(err);
    w->ws_closed++;
    w->ws_code = code;
    w->ws = ws_conn_free(c);
}

static void on_ws_writable(WsConn *c, void *userdata)
{
    World *w = userdata;
    static const uint8_t data[] = "data";
    assert_int_equal(ws_conn_queued_bytes(c), 0);
    assert_true(ws_conn_send_frame(c, (const uint8_t *) "head", 4, data, 4) >= 0);
    if (--w->to_write == 0)
        ws_conn_want_write(c, false);
}

static const WsEvents ws_events = {
    .on_text = on_text,
    .on_writable = on_ws_writable,
    .on_closed = on_ws_closed,
};

static void on_gone(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    assert_ptr_equal(x, w->parked);
    w->parked = NULL;
    w->gone++;
}

static void upgrade(World *w, HttpExchange *x)
{
    _cleanup_(error_done) Error err = {};
    if (ws_accept(x, "secbox.v1", &w->ws, &err) < 0)
        http_respond(x, 400, "text/plain", err.id, strlen(err.id), NULL);
    else
        ws_conn_set_events(w->ws, &ws_events, w);
}

static void handler(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    static const char *const extra[] = { "X-One: 1", "X-Bad: a\r\nInjected: 1", NULL };
    size_t len = 0;
    const char *body = http_body(x, &len);
    w->handled++;
    if (str_equal(http_path(x), "/park")) {
        w->parked = x;
        http_on_gone(x, on_gone, w);
    } else if (str_equal(http_path(x), "/ws")) {
        upgrade(w, x);
    } else if (http_is_head(x) && str_equal(http_path(x), "/large")) {
        http_respond_head(x, 206, "video/mp4", 5000000000, extra);
    } else if (http_is_head(x) && str_equal(http_path(x), "/unknown")) {
        http_respond_head(x, 200, "video/mp4", UINT64_MAX, NULL);
    } else if (str_equal(http_path(x), "/empty")) {
        http_respond(x, 204, NULL, NULL, 0, NULL);
    } else {
        _cleanup_(freep) char *name = http_query(x, "name");
        _cleanup_(freep) char *text = str_format("%s %s [%s] name=%s host=%s", http_method(x), http_path(x), body,
                                                 name ? name : "-", http_header(x, "host"));
        http_respond(x, 200, "text/plain", text, strlen(text), extra);
    }
}

static int setup_with(void **state, unsigned max)
{
    World *w = calloc(1, sizeof *w);
    HttpServerOptions options = {
        .address = "127.0.0.1",
        .max_connections = max,
        .handler = handler,
        .userdata = w,
    };
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, 16);
}

static int setup_two(void **state)
{
    return setup_with(state, 2);
}

static int teardown(void **state)
{
    World *w = *state;
    ws_set_idle_ping(WS_PING_IDLE);
    ws_conn_free(w->ws);
    http_server_free(w->server);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

static const struct {
    const char *request;
    const char *expect[4]; /* all must be in the answer, in this order */
    const char *missing;
} exchanges[] = {
    { GET "Connection: close\r\n\r\n",
      { "HTTP/1.1 200 OK\r\nDate: ", "Connection: close\r\n", "X-One: 1", "\r\n\r\nGET / [] name=- host=a" },
      "Injected" },
    { "GET /a%20b?x=1&name=J%2e+D HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      { "GET /a b [] name=J. D" },
      NULL },
    { "HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", { "Content-Length: 23\r\n", "\r\n" }, "GET /x" },
    /* the head of what nobody has made; the connection goes on */
    { "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\nHEAD /unknown HTTP/1.1\r\nHost: a\r\n\r\n" GET
      "Connection: close\r\n\r\n",
      { "206 Partial Content\r\n", "Content-Length: 5000000000\r\n", "X-One: 1\r\n\r\nHTTP/1.1 200 OK",
        "Transfer-Encoding: chunked\r\nContent-Type: video/mp4\r\n\r\nHTTP/1.1 200 OK" },
      NULL },
    { "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", { "POST / [hello]" }, NULL },
    { "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
      { "POST / [abc0123456789]" },
      NULL },
    { "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      { "HTTP/1.1 200" },
      "100 Continue" },
    { GET "\r\n" GET "Connection: close\r\n\r\n", { "200 OK", "GET / []", "200 OK", "GET / []" }, NULL },
    { "DELETE /empty HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      { "HTTP/1.1 204 No Content\r\n" },
      "Content-Length" },
    { "GET / HTTP/1.0\r\nHost: old\r\n\r\n", { "HTTP/1.1 200 OK", "Connection: close", "host=old" }, NULL },
    { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", { "HTTP/1.1 505 ", "\"id\":\"http.bad-request\"" }, NULL },
    { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", { "HTTP/1.1 505 " }, NULL },
    { "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", { "HTTP/1.1 501 ", "\"http.method\"" }, NULL },
    { "GET / HTTP/1.1\r\n\r\n", { "HTTP/1.1 400 Bad Request", "{\"error\":{\"id\":\"http.bad-request\"" }, NULL },
    { "GET / HTTP/1.1\nHost: a\n\n", { "HTTP/1.1 400 " }, NULL },
    { "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", { "HTTP/1.1 400 " }, NULL },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", { "HTTP/1.1 413 ", "http.too-large" }, NULL },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFF\r\n", { "HTTP/1.1 413 " }, NULL },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", { "HTTP/1.1 501 " }, NULL },
    { "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n", { "HTTP/1.1 417 " }, NULL },
    { "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", { "400", "ws.not-an-upgrade" }, NULL },
};

static void check_exchange(World *w, size_t i, bool slowly)
{
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
    const char *request = exchanges[i].request;
    if (slowly)
        for (const char *p = request; *p; p++)
            client_send(w->event, fd, p, 1);
    else
        client_send(w->event, fd, request, strlen(request));
    assert_true(client_read(w->event, fd, &out, NULL));
    const char *at = out.data ? out.data : "";
    for (size_t k = 0; k < ELEMENTSOF(exchanges[i].expect) && exchanges[i].expect[k]; k++) {
        const char *found = strstr(at, exchanges[i].expect[k]);
        if (!found)
            fail_msg("request %zu: \"%s\" is not in \"%s\"", i, exchanges[i].expect[k], at);
        at = found + strlen(exchanges[i].expect[k]);
    }
    if (exchanges[i].missing && strstr(out.data, exchanges[i].missing))
        fail_msg("request %zu: \"%s\" is in \"%s\"", i, exchanges[i].missing, out.data);
}

static void test_exchanges(void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(exchanges); i++) {
        check_exchange(*state, i, false);
        check_exchange(*state, i, true);
    }
}

static void test_keep_alive_and_continue(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
    static const char post[] = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    for (int i = 0; i < 3; i++) {
        buf_clear(&out);
        client_send(w->event, fd, post, sizeof post - 1);
        assert_false(client_read(w->event, fd, &out, "100 Continue\r\n\r\n"));
        client_send(w->event, fd, "body", 4);
        assert_false(client_read(w->event, fd, &out, "POST / [body]"));
        assert_null(strstr(out.data, "Connection: close"));
    }
    assert_int_equal(w->handled, 3);
}

static void test_long_header(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
    char line[HTTP_HEADER_MAX];
    memset(line, 'a', sizeof line);
    client_send(w->event, fd, GET "X: ", strlen(GET "X: "));
    client_send(w->event, fd, line, sizeof line);
    assert_true(client_read(w->event, fd, &out, NULL));
    assert_non_null(strstr(out.data, "HTTP/1.1 431 "));
    assert_int_equal(w->handled, 0);
}

static void test_late_answer(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
    static const char park[] = "GET /park HTTP/1.1\r\nHost: a\r\n\r\n" GET "Connection: close\r\n\r\n";
    client_send(w->event, fd, park, sizeof park - 1);
    while (!w->parked)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    http_respond(w->parked, 202, "text/plain", "later", 5, NULL);
    assert_true(client_read(w->event, fd, &out, NULL));
    assert_non_null(strstr(out.data, "HTTP/1.1 202 Accepted"));
    assert_non_null(strstr(out.data, "GET / []"));
    assert_int_equal(w->gone, 0);
}

static void test_peer_gone(void **state)
{
    World *w = *state;
    int fd = client_open(w->server);
    static const char park[] = "GET /park HTTP/1.1\r\nHost: a\r\n\r\n";
    client_send(w->event, fd, park, sizeof park - 1);
    while (!w->parked)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    close(fd);
    while (!w->gone)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    assert_null(w->parked);
}

static void test_server_freed_with_parked(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    static const char park[] = "GET /park HTTP/1.1\r\nHost: a\r\n\r\n";
    client_send(w->event, fd, park, sizeof park - 1);
    while (!w->parked)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    w->server = http_server_free(w->server);
    assert_int_equal(w->gone, 1);
}

static void test_limits_of_places(void **state)
{
    World *w = *state;
    w->server->slow = USEC_PER_MINUTE; /* all are young */
    _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
    _cleanup_(closep) int idle = client_open(w->server);
    client_send(w->event, idle, GET "\r\n", strlen(GET "\r\n"));
    assert_false(client_read(w->event, idle, &out, "GET / []"));
    _cleanup_(closep) int second = client_open(w->server);
    client_send(w->event, second, GET, strlen(GET));
    /* The third pushes the idle one out; a fourth finds only busy ones. */
    _cleanup_(closep) int third = client_open(w->server);
    client_send(w->event, third, GET, strlen(GET));
    assert_true(client_read(w->event, idle, &out, NULL));
    _cleanup_(closep) int fourth = client_open(w->server);
    assert_true(client_read(w->event, fourth, &out, NULL));
    buf_clear(&out);
    client_send(w->event, second, "\r\n", 2);
    assert_false(client_read(w->event, second, &out, "GET / []"));
}

/* A request that does not come gives its place up; one that waits for its answer keeps it. */
static void test_a70_slow_requests_give_way(void **state)
{
    World *w = *state;
    static const char park[] = "GET /park HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char slow[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow";
    _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
    _cleanup_(closep) int parked = client_open(w->server);
    client_send(w->event, parked, park, sizeof park - 1);
    _cleanup_(closep) int body = client_open(w->server);
    client_send(w->event, body, slow, sizeof slow - 1);
    while (!w->parked || w->server->n_conns < 2)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    w->server->slow = 0;
    _cleanup_(closep) int head = client_open(w->server);
    client_send(w->event, head, GET, strlen(GET));
    assert_true(client_read(w->event, body, &out, NULL));
    _cleanup_(closep) int good = client_open(w->server);
    client_send(w->event, good, GET "\r\n", strlen(GET "\r\n"));
    assert_false(client_read(w->event, good, &out, "GET / []"));
    assert_true(client_read(w->event, head, &out, NULL));
    assert_int_equal(w->gone, 0);
    http_respond(w->parked, 200, "text/plain", "late", 4, NULL);
    assert_false(client_read(w->event, parked, &out, "late"));
}

static void test_out_of_descriptors(void **state)
{
    World *w = *state;
    struct rlimit old, tight;
    _cleanup_(closep) int first = client_open(w->server);
    int fds[64];
    size_t n = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int top = dup(first);
    close(top);
    tight = old;
    tight.rlim_cur = (rlim_t) top + 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (n < ELEMENTSOF(fds) && (fds[n] = dup(first)) >= 0)
        n++;
    /* No descriptor is free: the waiting connection is ended, and the listener does not spin. */
    for (int i = 0; i < 5; i++)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    char byte;
    ssize_t got = recv(first, &byte, 1, 0);
    assert_true(got <= 0);
    while (n > 0)
        close(fds[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    _cleanup_(closep) int later = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
    client_send(w->event, later, GET "\r\n", strlen(GET "\r\n"));
    assert_false(client_read(w->event, later, &out, "GET / []"));
}

#define UPGRADE                                                                                                        \
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"                         \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: other, secbox.v1\r\n"                                        \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"

static void test_upgrade(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
    client_send(w->event, fd, UPGRADE, strlen(UPGRADE));
    assert_false(client_read(w->event, fd, &out, "\r\n\r\n"));
    assert_true(str_starts(out.data, "HTTP/1.1 101 Switching Protocols\r\n"));
    assert_non_null(strstr(out.data, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_non_null(strstr(out.data, "Sec-WebSocket-Protocol: secbox.v1\r\n"));
    assert_null(strstr(out.data, "Extensions"));
    assert_non_null(w->ws);
    assert_true(str_starts(ws_conn_peer(w->ws), "127.0.0.1:"));
    buf_clear(&out);
    /* "Hello" with the mask of RFC 6455 §5.7 */
    client_send(w->event, fd, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    assert_false(client_read(w->event, fd, &out, "\x81\x05Hello"));
    buf_clear(&out);
    /* close 1000, unmasked key of zeros */
    client_send(w->event, fd, "\x88\x82\0\0\0\0\x03\xe8", 8);
    assert_true(client_read(w->event, fd, &out, NULL));
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, "\x88\x02\x03\xe8", 4);
    close(TAKE_FD(fd));
    while (!w->ws_closed)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    assert_int_equal(w->ws_code, 1000);
}

static const struct {
    const char *frame;
    size_t len;
    uint16_t code;
} refusals[] = {
    { "\x81\x05Hello", 7, 1002 },
    { "\x82\x81\0\0\0\0x", 7, 1003 },
    { "\x81\x81\0\0\0\0\xff", 7, 1007 },
    { "\x81\xff\0\0\0\0\0\x20\0\0\0\0\0\0", 14, 1009 },
};

static void test_ws_refusals(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
        _cleanup_(closep) int fd = client_open(w->server);
        _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
        unsigned before = w->ws_closed;
        client_send(w->event, fd, UPGRADE, strlen(UPGRADE));
        assert_false(client_read(w->event, fd, &out, "\r\n\r\n"));
        buf_clear(&out);
        client_send(w->event, fd, refusals[i].frame, refusals[i].len);
        assert_true(client_read(w->event, fd, &out, NULL));
        assert_true(out.len >= 4);
        assert_int_equal((uint8_t) out.data[0], 0x88);
        assert_int_equal((uint8_t) out.data[2] << 8 | (uint8_t) out.data[3], refusals[i].code);
        close(TAKE_FD(fd));
        while (w->ws_closed == before)
            assert_true(sd_event_run(w->event, 1000) >= 0);
        assert_int_equal(w->ws_code, refusals[i].code);
    }
}

static void test_ws_peer_vanishes(void **state)
{
    World *w = *state;
    int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
    client_send(w->event, fd, UPGRADE, strlen(UPGRADE));
    assert_false(client_read(w->event, fd, &out, "\r\n\r\n"));
    close(fd);
    while (!w->ws_closed)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    assert_int_equal(w->ws_code, 1006);
}

/* The queue is bounded, and its draining is told. */
static void test_ws_backpressure(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(64 * 1024 * 1024);
    client_send(w->event, fd, UPGRADE, strlen(UPGRADE));
    assert_false(client_read(w->event, fd, &out, "\r\n\r\n"));
    _cleanup_(freep) char *big = malloc(WS_MESSAGE_MAX + 1);
    memset(big, 'x', WS_MESSAGE_MAX + 1);
    assert_int_equal(ws_conn_send_text(w->ws, big, WS_MESSAGE_MAX + 1), -EMSGSIZE);
    assert_int_equal(ws_conn_send_text(w->ws, "\xff", 1), -EILSEQ);
    size_t sent = 0;
    int r;
    while ((r = ws_conn_send_text(w->ws, big, 500000)) >= 0 && sent < 100)
        sent++;
    assert_int_equal(r, -ENOBUFS);
    assert_true(ws_conn_queued_bytes(w->ws) <= TUNNEL_QUEUE_BYTES_MAX);
    ws_conn_close(w->ws, WS_CLOSE_GOING_AWAY, "bye");
    assert_int_equal(ws_conn_send_text(w->ws, "x", 1), -ENOTCONN);
    buf_clear(&out);
    assert_false(client_read(w->event, fd, &out,
                             "\x88\x05\x03\xe9"
                             "bye"));
    assert_int_equal(out.len, sent * 500010 + 7);
}

/* Walks over unmasked frames of up to 64 KiB: their count, and which of them is the first ping. */
static unsigned count_frames(const Buf *in, unsigned *ret_ping)
{
    unsigned n = 0;
    *ret_ping = UINT_MAX;
    for (size_t at = 0; at < in->len; n++) {
        const uint8_t *head = (const uint8_t *) in->data + at;
        if (head[0] == 0x89 && *ret_ping == UINT_MAX)
            *ret_ping = n;
        at += head[1] < 126 ? 2u + head[1] : 4u + (size_t) (head[2] << 8 | head[3]);
        assert_true(at <= in->len);
    }
    return n;
}

/* What waits does not keep a ping waiting, and comes in order behind it; only the answer to that ping makes a round trip. */
static void test_ws_ping_goes_ahead(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(64 * 1024 * 1024);
    client_send(w->event, fd, UPGRADE, strlen(UPGRADE));
    assert_false(client_read(w->event, fd, &out, "\r\n\r\n"));
    buf_clear(&out);
    _cleanup_(freep) char *big = malloc(60000);
    memset(big, 'x', 60000);
    unsigned sent = 0, ping = 0;
    for (; ws_conn_queued_bytes(w->ws) < 5 * 60000; sent++)
        assert_true(ws_conn_send_text(w->ws, big, 60000) >= 0);
    ws_conn_ping(w->ws);
    ws_conn_ping(w->ws);
    assert_true(ws_conn_send_text(w->ws, "the end", 7) >= 0);
    assert_false(client_read(w->event, fd, &out, "the end"));
    assert_int_equal(count_frames(&out, &ping), sent + 2);
    assert_true(ping > 0 && ping <= sent - 3);
    const char *payload = (const char *) memmem(out.data, out.len, "\x89\x04", 2) + 2;
    client_send(w->event, fd,
                "\x8a\x84\0\0\0\0zzzz"
                "\x81\x82\0\0\0\0hi",
                18);
    assert_false(client_read(w->event, fd, &out, "\x81\x02hi"));
    assert_int_equal(ws_conn_rtt(w->ws), 0);
    _cleanup_(buf_done) Buf pong = BUF_INIT(64);
    assert_true(buf_append(&pong, "\x8a\x84\0\0\0\0", 6) >= 0 && buf_append(&pong, payload, 4) >= 0);
    client_send(w->event, fd, pong.data, pong.len);
    while (ws_conn_rtt(w->ws) == 0)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    ws_conn_ping(w->ws);
    assert_false(client_read(w->event, fd, &out, "\x89\x04"));
}

static void test_ws_writable(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(64 * 1024);
    client_send(w->event, fd, UPGRADE, strlen(UPGRADE));
    assert_false(client_read(w->event, fd, &out, "\r\n\r\n"));
    buf_clear(&out);
    w->to_write = 3;
    ws_conn_set_busy(w->ws, true);
    ws_conn_want_write(w->ws, true);
    assert_false(client_read(w->event, fd, &out, "\x82\x08headdata\x82\x08headdata\x82\x08headdata"));
    assert_int_equal(w->to_write, 0);
    ws_conn_set_busy(w->ws, false);
    /* wanted still when it closes: nobody is asked any more, and the end comes */
    w->to_write = 3;
    ws_conn_want_write(w->ws, true);
    ws_conn_close(w->ws, WS_CLOSE_NORMAL, NULL);
    assert_false(client_read(w->event, fd, &out, "\x88\x02\x03\xe8"));
    client_send(w->event, fd, "\x88\x82\0\0\0\0\x03\xe8", 8);
    assert_true(client_read(w->event, fd, &out, NULL));
    assert_int_equal(w->to_write, 3);
}

/* A silent peer gets pings and is then given up. */
static void test_ws_keepalive(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(64 * 1024);
    client_send(w->event, fd, UPGRADE, strlen(UPGRADE));
    assert_false(client_read(w->event, fd, &out, "\r\n\r\n"));
    buf_clear(&out);
    ws_conn_set_keepalive(w->ws, 20 * USEC_PER_MSEC, 500 * USEC_PER_MSEC);
    assert_true(client_read(w->event, fd, &out, NULL));
    assert_true(out.len >= 2);
    assert_memory_equal(out.data, "\x89\x04", 2);
    assert_int_equal(w->ws_closed, 1);
    assert_int_equal(w->ws_code, 1006);
}

/* Something on the way ends connections that are silent for less than the usual time. */
static void test_a38_a_shorter_keepalive(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(64 * 1024);
    client_send(w->event, fd, UPGRADE, strlen(UPGRADE));
    assert_false(client_read(w->event, fd, &out, "\r\n\r\n"));
    buf_clear(&out);
    usec_t begun = boottime_usec();
    ws_set_idle_ping(50 * USEC_PER_MSEC);
    ws_conn_set_busy(w->ws, true);
    assert_false(client_read(w->event, fd, &out, "\x89\x04"));
    ws_conn_set_busy(w->ws, false);
    buf_clear(&out);
    assert_false(client_read(w->event, fd, &out, "\x89\x04"));
    assert_true(boottime_usec() - begun < WS_PING_BUSY);
}

/* A peer that asks and never reads costs us one unanswered ping, not a queue. */
static void test_ws_ping_flood(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(64 * 1024 * 1024);
    client_send(w->event, fd, UPGRADE, strlen(UPGRADE));
    assert_false(client_read(w->event, fd, &out, "\r\n\r\n"));
    _cleanup_(buf_done) Buf pings = BUF_INIT(64 * 1024);
    for (int i = 0; i < 400; i++) {
        assert_true(buf_append(&pings, "\x89\xfd\0\0\0\0", 6) >= 0);
        assert_true(buf_printf(&pings, "%0125d", i) >= 0);
    }
    for (int i = 0; i < 300; i++) {
        client_send(w->event, fd, pings.data, pings.len);
        assert_true(ws_conn_queued_bytes(w->ws) <= 8192);
    }
    client_send(w->event, fd, "\x89\x84\0\0\0\0last", 10);
    assert_false(client_read(w->event, fd, &out, "\x8a\x04last"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exchanges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep_alive_and_continue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_header, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_freed_with_parked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits_of_places, setup_two, teardown),
        cmocka_unit_test_setup_teardown(test_a70_slow_requests_give_way, setup_two, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upgrade, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ws_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ws_peer_vanishes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ws_backpressure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ws_ping_goes_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ws_writable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ws_keepalive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a38_a_shorter_keepalive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ws_ping_flood, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
