/* SPDX-License-Identifier: MIT */
/* A WebSocket is opened to the HTTP server on loopback, used, refused, and given up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/server.h"
#include "lib/websocket/accept.h"
#include "lib/websocket/connect.h"

/* A safety net for a broken implementation, not a measure of speed. */
#define PATIENCE (60 * USEC_PER_SEC)
#define PROTOCOL "test.v1"

typedef struct World {
    sd_event *event;
    HttpServer *server;
    WsConn *there, *here;
    WsConnect *connect;
    char *authorization, *text;
    int status;
    char id[64];
    bool failed;
} World;

static void on_text_there(WsConn *c, const char *text, size_t len, void *userdata)
{
    (void) userdata;
    assert_true(ws_conn_send_text(c, text, len) >= 0);
}

static void on_closed_there(WsConn *c, uint16_t code, const Error *err, void *userdata)
{
    World *w = userdata;

    (void) code;
    (void) err;
    w->there = ws_conn_free(c);
}

static const WsEvents there_events = { .on_text = on_text_there, .on_closed = on_closed_there };

static void handler(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    const char *authorization = http_header(x, "Authorization");

    if (!str_equal(http_path(x), "/ws")) {
        http_respond(x, 401, "text/plain", "", 0, NULL);
        return;
    }
    w->authorization = strdup(authorization ? authorization : "");
    assert_true(ws_accept(x, PROTOCOL, &w->there, NULL) >= 0);
    ws_conn_set_events(w->there, &there_events, w);
    /* it comes along with the answer to the upgrade */
    assert_true(ws_conn_send_text(w->there, "first", 5) >= 0);
}

static void on_text_here(WsConn *c, const char *text, size_t len, void *userdata)
{
    World *w = userdata;

    (void) c;
    (void) len;
    free(w->text);
    w->text = strdup(text);
}

static void on_closed_here(WsConn *c, uint16_t code, const Error *err, void *userdata)
{
    World *w = userdata;

    (void) code;
    (void) err;
    w->here = ws_conn_free(c);
}

static const WsEvents here_events = { .on_text = on_text_here, .on_closed = on_closed_here };

static void on_open(WsConnect *c, WsConn *conn, void *userdata)
{
    World *w = userdata;

    assert_ptr_equal(c, w->connect);
    w->connect = NULL;
    w->here = conn;
    ws_conn_set_events(conn, &here_events, w);
}

static void on_failed(WsConnect *c, int r, int http_status, const Error *err, void *userdata)
{
    World *w = userdata;

    assert_ptr_equal(c, w->connect);
    assert_true(r < 0);
    w->connect = NULL;
    w->failed = true;
    w->status = http_status;
    assert_true(strlen(error_id(err)) < sizeof(w->id));
    memcpy(w->id, error_id(err), strlen(error_id(err)) + 1);
}

static const WsConnectEvents events = { .on_open = on_open, .on_failed = on_failed };

static int setup(void **state)
{
    World *w = calloc(1, sizeof(*w));
    const HttpServerOptions options = {
        .address = "127.0.0.1", .max_connections = 4, .handler = handler, .userdata = w
    };

    assert_non_null(w);
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;

    ws_connect_free(w->connect);
    ws_conn_free(w->here);
    ws_conn_free(w->there);
    http_server_free(w->server);
    sd_event_unref(w->event);
    free(w->authorization);
    free(w->text);
    free(w);
    return 0;
}

static void begin(World *w, const char *path, const char *token)
{
    _cleanup_(freep) char *url = str_format("ws://127.0.0.1:%u%s", http_server_port(w->server), path);
    const WsConnectTarget target = { .url = url, .protocol = PROTOCOL, .token = token };

    assert_int_equal(ws_connect(w->event, &target, &events, w, &w->connect, NULL), 0);
}

static void turn(World *w)
{
    assert_true(sd_event_run(w->event, PATIENCE) > 0);
}

static void test_opened_and_used(void **state)
{
    World *w = *state;

    begin(w, "/ws", "secret-token");
    while (!w->text)
        turn(w);
    assert_string_equal(w->text, "first");
    assert_string_equal(w->authorization, "Bearer secret-token");
    assert_true(ws_conn_send_text(w->here, "second", 6) >= 0);
    while (!str_equal(w->text, "second"))
        turn(w);
    ws_conn_close(w->there, WS_CLOSE_GOING_AWAY, "enough");
    while (w->here)
        turn(w);
    assert_false(w->failed);
}

static void test_refused(void **state)
{
    World *w = *state;

    begin(w, "/other", NULL);
    while (!w->failed)
        turn(w);
    assert_int_equal(w->status, 401);
    assert_string_equal(w->id, "ws.refused");
}

static void test_nobody_is_there(void **state)
{
    World *w = *state;

    begin(w, "/ws", NULL);
    w->server = http_server_free(w->server);
    while (!w->failed)
        turn(w);
    assert_int_equal(w->status, 0);
}

static void test_given_up(void **state)
{
    World *w = *state;
    const WsConnectTarget wrong = { .url = "http://127.0.0.1/ws" };
    _cleanup_(error_done) Error err = {};

    begin(w, "/ws", NULL);
    w->connect = ws_connect_free(w->connect);
    assert_true(ws_connect(w->event, &wrong, &events, w, &w->connect, &err) < 0);
    assert_string_equal(err.id, "ws.bad-url");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opened_and_used, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
