/* SPDX-License-Identifier: MIT */
/* The box's end of the tunnel against a scripted gateway on loopback, and its decisions as pure functions. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/http/server.h"
#include "lib/tunnel/message.h"
#include "lib/net/send-queue.h"
#include "lib/tunnel/tunnel-state.h"
#include "lib/tunnel/tunnel.h"
#include "lib/websocket/accept.h"

#define WELCOME                                                                                                        \
    "{\"type\":\"welcome\",\"deviceId\":\"d\",\"serverTime\":\"2026-01-02T03:04:05.678Z\",\"connection\":\"c\"}"

#define OWN_BODY "{\"error\":{\"id\":\"auth.test\",\"message\":\"as the gateway says\"}}"

typedef struct World {
    sd_event *event;
    HttpServer *server;
    WsConn *ws; /* the gateway's newest connection */
    Tunnel *tunnel;
    int status; /* refuse upgrades with it */
    const char *retry_after, *body;
    const char *token;
    const char *greeting; /* what answers hello */
    unsigned upgrades, ups, downs, hellos;
    char *received; /* by the gateway, one line each */
    char *messages; /* by the box */
    char *authorization;
    int down_status;
    usec_t down_delay;
    char *down_id, *down_text;
    bool free_on_up, free_on_down, free_on_message;
} World;

static void append(char **list, const char *text)
{
    char *joined = str_format("%s%s\n", *list ? *list : "", text);
    assert_non_null(joined);
    free(*list);
    *list = joined;
}

static void on_gateway_text(WsConn *c, const char *text, size_t len, void *userdata)
{
    World *w = userdata;
    (void) len;
    if (strstr(text, "\"hello\"")) {
        w->hellos++;
        if (w->greeting)
            assert_true(ws_conn_send_text(c, w->greeting, strlen(w->greeting)) >= 0);
    } else {
        append(&w->received, text);
    }
}

static void on_gateway_closed(WsConn *c, uint16_t code, const Error *err, void *userdata)
{
    World *w = userdata;
    (void) code;
    (void) err;
    if (w->ws == c)
        w->ws = NULL;
    ws_conn_free(c);
}

static const WsEvents gateway_events = { .on_text = on_gateway_text, .on_closed = on_gateway_closed };

static void on_request(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    free(w->authorization);
    w->authorization = strdup(http_header(x, "Authorization"));
    w->upgrades++;
    if (w->status) {
        _cleanup_(freep) char *retry = str_format("Retry-After: %s", w->retry_after ? w->retry_after : "0");
        const char *const headers[] = { w->retry_after ? retry : NULL, NULL };
        const char *body = w->body ? w->body : OWN_BODY;
        http_respond(x, w->status, "application/json", body, strlen(body), headers);
        return;
    }
    assert_string_equal(http_path(x), "/mgmt");
    assert_true(ws_accept(x, "secbox.v1", &w->ws, NULL) >= 0);
    ws_conn_set_events(w->ws, &gateway_events, w);
}

static cJSON *make_hello(Tunnel *t, void *userdata)
{
    (void) t;
    (void) userdata;
    return message_new("hello");
}

static const char *get_token(Tunnel *t, void *userdata)
{
    World *w = userdata;
    (void) t;
    return w->token;
}

static void on_up(Tunnel *t, const cJSON *welcome, void *userdata)
{
    World *w = userdata;
    w->ups++;
    assert_string_equal(json_string(welcome, "connection"), "c");
    assert_true(tunnel_is_up(t));
    if (w->free_on_up)
        w->tunnel = tunnel_free(t);
    else
        assert_true(tunnel_send(t, "{\"type\":\"from-up\"}", 18) >= 0);
}

static void on_message(Tunnel *t, const cJSON *message, const char *text, void *userdata)
{
    World *w = userdata;
    assert_non_null(json_string(message, "type"));
    append(&w->messages, text);
    if (w->free_on_message)
        w->tunnel = tunnel_free(t);
}

static void on_down(Tunnel *t, int http_status, usec_t retry_in, const Error *err, void *userdata)
{
    World *w = userdata;
    w->downs++;
    w->down_status = http_status;
    w->down_delay = retry_in;
    free(w->down_id);
    free(w->down_text);
    assert_non_null(err->id);
    assert_non_null(err->message);
    w->down_id = strdup(err->id);
    w->down_text = strdup(err->message);
    assert_false(tunnel_is_up(t));
    if (w->free_on_down)
        w->tunnel = tunnel_free(t);
}

static const TunnelEvents box_events = {
    .make_hello = make_hello,
    .get_token = get_token,
    .on_up = on_up,
    .on_message = on_message,
    .on_down = on_down,
};

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    HttpServerOptions options = { .address = "127.0.0.1", .max_connections = 16, .handler = on_request, .userdata = w };
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    w->token = "token.one";
    w->greeting = WELCOME;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    tunnel_free(w->tunnel);
    ws_conn_free(w->ws);
    http_server_free(w->server);
    sd_event_unref(w->event);
    free(w->received);
    free(w->messages);
    free(w->authorization);
    free(w->down_id);
    free(w->down_text);
    free(w);
    return 0;
}

static void start(World *w)
{
    _cleanup_(freep) char *url = str_format("ws://127.0.0.1:%u/mgmt", http_server_port(w->server));
    TunnelOptions options = { .url = url, .events = &box_events, .userdata = w };
    assert_true(tunnel_new(w->event, &options, &w->tunnel, NULL) >= 0);
}

/* Runs the loop until the condition holds; a broken implementation runs into CI's own limit. */
#define RUN_UNTIL(w, condition)                                                                                        \
    while (!(condition))                                                                                               \
    assert_true(sd_event_run((w)->event, 10000) >= 0)

static void say(World *w, const char *text)
{
    assert_true(ws_conn_send_text(w->ws, text, strlen(text)) >= 0);
}

static void test_up_and_messages(void **state)
{
    World *w = *state;
    start(w);
    assert_true(tunnel_send(w->tunnel, "{\"type\":\"early-1\"}", 18) >= 0);
    assert_true(tunnel_send(w->tunnel, "{\"type\":\"early-2\"}", 18) >= 0);
    RUN_UNTIL(w, w->received && strstr(w->received, "from-up"));
    assert_string_equal(w->received, "{\"type\":\"early-1\"}\n{\"type\":\"early-2\"}\n{\"type\":\"from-up\"}\n");
    assert_string_equal(w->authorization, "Bearer token.one");
    assert_int_equal(w->hellos, 1);
    say(w, "{\"type\":\"not-known-yet\",\"x\":1}");
    say(w, "{\"type\":\"status.get\",\"id\":\"q1\"}");
    RUN_UNTIL(w, w->messages);
    assert_string_equal(w->messages, "{\"type\":\"status.get\",\"id\":\"q1\"}\n");
    /* a known type without what it needs: the sender is told, the tunnel stays */
    say(w, "{\"type\":\"compose.plan\",\"id\":\"p7\"}");
    RUN_UNTIL(w, strstr(w->received, "message.member"));
    assert_non_null(strstr(w->received, "\"id\":\"p7\""));
    /* what only an agent may say */
    say(w, "{\"type\":\"env.ensure\",\"id\":\"r1\"}");
    RUN_UNTIL(w, strstr(w->received, "message.sender"));
    assert_true(tunnel_is_up(w->tunnel));
    assert_int_equal(w->downs, 0);
    say(w, "{\"type\":");
    RUN_UNTIL(w, w->downs == 1);
    assert_string_equal(w->down_id, "json.syntax");
    assert_true(w->down_delay <= USEC_PER_SEC);
}

static const struct {
    int status;
    const char *retry_after;
    usec_t low, high;
} refusals[] = {
    { 400, NULL, 0, USEC_PER_SEC },
    { 401, NULL, USEC_INFINITY, USEC_INFINITY },
    { 403, "5", USEC_INFINITY, USEC_INFINITY },
    { 404, NULL, 0, USEC_PER_SEC },
    { 503, "7", 7 * USEC_PER_SEC, 14 * USEC_PER_SEC },
    { 429, "999999", 3600 * USEC_PER_SEC, 3610 * USEC_PER_SEC },
    { 503, "Wed, 21 Oct 2015 07:28:00 GMT", 0, USEC_PER_SEC },
};

static void test_refused(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
        w->status = refusals[i].status;
        w->retry_after = refusals[i].retry_after;
        w->downs = 0;
        start(w);
        RUN_UNTIL(w, w->downs == 1);
        assert_int_equal(w->down_status, refusals[i].status);
        assert_string_equal(w->down_id, "tunnel.refused");
        assert_true(w->down_delay >= refusals[i].low);
        assert_true(w->down_delay <= refusals[i].high);
        assert_non_null(strstr(w->down_text, "as the gateway says"));
        w->tunnel = tunnel_free(w->tunnel);
    }
}

/* Whatever it says, it is not the gateway's word. */
static void test_a19_a20_strangers(void **state)
{
    static const struct {
        int status;
        const char *body, *retry_after, *says;
    } cases[] = {
        { 403, "<html>Forbidden</html>", NULL, "firewall" },
        { 401, "", NULL, "password" },
        { 503, "<html>back soon</html>", "3600", "being maintained" },
        { 429, "{\"error\":\"slow down\"}", "99999", "HTTP status 429" },
        { 403, "{\"error\":{\"id\":\"no\",\"message\":\"no\"}}", "7200", "HTTP status 403" },
        { 403, "{\"error\":{\"id\":\"a.b\"}}", NULL, "HTTP status 403" },
        { 400, "no", NULL, "does not pass on WebSocket upgrades" },
        { 302, "", NULL, "captive portal" },
        { 200, "<html>welcome</html>", NULL, "captive portal" },
    };
    World *w = *state;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        w->status = cases[i].status;
        w->retry_after = cases[i].retry_after;
        w->body = cases[i].body;
        w->downs = 0;
        start(w);
        RUN_UNTIL(w, w->downs == 1);
        assert_int_equal(w->down_status, 0);
        assert_string_equal(w->down_id, "tunnel.stranger");
        assert_non_null(strstr(w->down_text, cases[i].says));
        assert_true(w->down_delay <= USEC_PER_MINUTE);
        w->tunnel = tunnel_free(w->tunnel);
    }
    w->body = NULL;
}

static void test_new_token(void **state)
{
    World *w = *state;
    w->token = NULL;
    start(w);
    for (int i = 0; i < 5; i++)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    assert_int_equal(w->upgrades, 0);
    w->token = "old";
    w->status = 401;
    tunnel_retry(w->tunnel);
    RUN_UNTIL(w, w->downs == 1);
    assert_true(w->down_delay == USEC_INFINITY);
    w->token = "new";
    w->status = 0;
    tunnel_retry(w->tunnel);
    tunnel_retry(w->tunnel);
    RUN_UNTIL(w, w->ups == 1);
    assert_string_equal(w->authorization, "Bearer new");
    assert_int_equal(w->upgrades, 2);
}

static void test_goaway_and_queue(void **state)
{
    World *w = *state;
    start(w);
    RUN_UNTIL(w, w->ups == 1);
    say(w, "{\"type\":\"goaway\",\"reason\":\"drain\",\"retryAfterSeconds\":20,\"spreadSeconds\":\"40\"}");
    RUN_UNTIL(w, w->downs == 1);
    assert_string_equal(w->down_id, "tunnel.goaway");
    assert_true(w->down_delay >= 20 * USEC_PER_SEC && w->down_delay <= 60 * USEC_PER_SEC);
    free(w->received);
    w->received = NULL;
    assert_true(tunnel_send(w->tunnel, "{\"type\":\"kept\"}", 15) >= 0);
    tunnel_retry(w->tunnel);
    RUN_UNTIL(w, w->received && strstr(w->received, "from-up"));
    assert_string_equal(w->received, "{\"type\":\"kept\"}\n{\"type\":\"from-up\"}\n");
}

static void test_cycle(void **state)
{
    World *w = *state;
    start(w);
    tunnel_cycle(w->tunnel);
    RUN_UNTIL(w, w->ups == 1);
    tunnel_cycle(w->tunnel);
    assert_false(tunnel_is_up(w->tunnel));
    RUN_UNTIL(w, w->ups == 2);
    assert_int_equal(w->downs, 1);
    assert_string_equal(w->down_id, "tunnel.cycle");
    assert_true(w->down_delay == 0);
    assert_int_equal(w->upgrades, 2);
}

static void test_greeting_must_be_welcome(void **state)
{
    World *w = *state;
    w->greeting = "{\"type\":\"status.get\",\"id\":\"1\"}";
    start(w);
    RUN_UNTIL(w, w->downs == 1);
    assert_string_equal(w->down_id, "tunnel.no-welcome");
    assert_null(w->messages);
}

static void test_gateway_vanishes(void **state)
{
    World *w = *state;
    start(w);
    RUN_UNTIL(w, w->ups == 1);
    w->ws = ws_conn_free(w->ws);
    RUN_UNTIL(w, w->downs == 1);
    /* an end or a reset, by what the gateway had not read yet */
    assert_true(str_equal(w->down_id, "ws.gone") || str_equal(w->down_id, "stream.closed"));
    assert_true(w->down_delay <= 30 * USEC_PER_SEC);
    /* the next one says over which time its boxes are to come back */
    w->greeting =
        "{\"type\":\"welcome\",\"deviceId\":\"d\",\"serverTime\":\"t\",\"connection\":\"c\",\"spreadSeconds\":2}";
    tunnel_retry(w->tunnel);
    RUN_UNTIL(w, w->ups == 2);
    w->ws = ws_conn_free(w->ws);
    RUN_UNTIL(w, w->downs == 2);
    assert_true(w->down_delay <= 2 * USEC_PER_SEC);
    RUN_UNTIL(w, w->ups == 3);
}

static void test_nobody_there(void **state)
{
    World *w = *state;
    start(w);
    w->server = http_server_free(w->server);
    RUN_UNTIL(w, w->downs == 1);
    assert_string_equal(w->down_id, "stream.connect");
    assert_int_equal(w->down_status, 0);
}

static void test_freeing_inside(void **state)
{
    World *w = *state;
    w->free_on_up = true;
    start(w);
    RUN_UNTIL(w, w->ups == 1);
    w->free_on_up = false;
    w->free_on_message = true;
    start(w);
    RUN_UNTIL(w, w->ups == 2);
    say(w, "{\"type\":\"status.get\",\"id\":\"1\"}");
    RUN_UNTIL(w, w->messages);
    w->free_on_down = true;
    w->status = 500;
    start(w);
    RUN_UNTIL(w, w->downs == 1);
    assert_null(w->tunnel);
}

static void test_queue_is_bounded(void **state)
{
    World *w = *state;
    w->token = NULL;
    start(w);
    _cleanup_(freep) char *big = malloc(WS_MESSAGE_MAX + 1);
    memset(big, 'x', WS_MESSAGE_MAX + 1);
    assert_int_equal(tunnel_send(w->tunnel, big, WS_MESSAGE_MAX + 1), -EMSGSIZE);
    assert_int_equal(tunnel_send(w->tunnel, "\xc0\x80", 2), -EILSEQ);
    for (int i = 0; i < 4; i++)
        assert_int_equal(tunnel_send(w->tunnel, big, WS_MESSAGE_MAX), 0);
    assert_int_equal(tunnel_send(w->tunnel, "x", 1), -ENOBUFS);
    SendQueue q = SEND_QUEUE_INIT(2, 10);
    assert_int_equal(send_queue_push(&q, "12345", 5), 0);
    assert_int_equal(send_queue_push(&q, "123456", 6), -ENOBUFS);
    assert_int_equal(send_queue_push(&q, "12345", 5), 0);
    assert_int_equal(send_queue_push(&q, "", 0), -ENOBUFS);
    send_queue_pop(&q);
    assert_int_equal(send_queue_push(&q, "z", 1), 0);
    send_queue_pop(&q);
    size_t len = 0;
    assert_string_equal(send_queue_peek(&q, &len), "z");
    send_queue_clear(&q);
    assert_null(send_queue_peek(&q, &len));
}

static const char *const bad_urls[] = {
    "",
    "${DEVICE_GATEWAY_URL:-wss://gw}/mgmt",
    "wss://${HOST}/mgmt",
    "https://gw.example/mgmt",
    "wss:///mgmt",
    "wss://gw.example:0/mgmt",
    "wss://gw.example:65536/mgmt",
    "wss://gw.example:/mgmt",
    "wss://user:pw@gw.example/mgmt",
    "wss://gw.example/a b",
    "wss://gw.example/mgmt#x",
    "wss://[::1/mgmt",
    "wss://gw.ex\"ample/mgmt",
    "gw.example",
};

static void test_bad_urls(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < ELEMENTSOF(bad_urls); i++) {
        _cleanup_(error_done) Error err = {};
        Tunnel *t = NULL;
        TunnelOptions options = { .url = bad_urls[i], .events = &box_events, .userdata = w };
        assert_int_equal(tunnel_new(w->event, &options, &t, &err), -EINVAL);
        assert_string_equal(err.id, "tunnel.bad-url");
        assert_null(t);
    }
}

static void test_decisions(void **state)
{
    (void) state;
    for (TunnelState s = 0; s < _TUNNEL_STATES; s++) {
        assert_int_equal(tunnel_next(s, TUNNEL_REFUSED), TUNNEL_IDLE);
        assert_int_equal(tunnel_next(s, TUNNEL_NO_TOKEN), TUNNEL_IDLE);
        for (TunnelInput i = 0; i < _TUNNEL_INPUTS; i++)
            assert_true(tunnel_next(s, i) < _TUNNEL_STATES);
        /* only welcome leads up, and only from the greeting */
        for (TunnelInput i = 0; i < _TUNNEL_INPUTS; i++)
            if (s != TUNNEL_UP && tunnel_next(s, i) == TUNNEL_UP)
                assert_true(s == TUNNEL_GREETING && i == TUNNEL_WELCOMED);
        if (s != TUNNEL_IDLE)
            assert_int_equal(tunnel_next(s, TUNNEL_LOST), TUNNEL_WAITING);
    }
    assert_int_equal(tunnel_deadline(TUNNEL_UPGRADING), 10 * USEC_PER_SEC);
    assert_int_equal(tunnel_deadline(TUNNEL_GREETING), 10 * USEC_PER_SEC);
    assert_int_equal(tunnel_deadline(TUNNEL_UP), 0);
    Backoff b = BACKOFF_TUNNEL;
    TunnelEnd lost = {}, stable = { .lasted_usec = 60 * USEC_PER_SEC };
    for (int i = 0; i < 12; i++)
        (void) tunnel_retry_delay(&lost, &b, 0);
    assert_true(tunnel_retry_delay(&lost, &b, UINT64_MAX) == 120 * USEC_PER_SEC);
    assert_true(tunnel_retry_delay(&stable, &b, UINT64_MAX) == USEC_PER_SEC);
    TunnelEnd cycle = { .cycle = true }, goaway = { .goaway = true, .spread_usec = 9 };
    assert_true(tunnel_retry_delay(&cycle, &b, UINT64_MAX) == 0);
    assert_true(tunnel_retry_delay(&goaway, &b, 19) <= 9);
    /* with streams the spread is short, and what the gateway asks for at least still counts */
    TunnelEnd drain = { .goaway = true, .retry_after_usec = 20 * USEC_PER_SEC, .spread_usec = USEC_PER_HOUR };
    assert_true(tunnel_retry_delay(&drain, &b, USEC_PER_HOUR - 1) > 25 * USEC_PER_SEC);
    drain.streams = true;
    for (uint64_t random = 0; random < 100 * USEC_PER_SEC; random += 777777) {
        usec_t delay = tunnel_retry_delay(&drain, &b, random);
        assert_true(delay >= 20 * USEC_PER_SEC && delay <= 21 * USEC_PER_SEC);
    }
    TunnelEnd cut = { .streams = true };
    for (int i = 0; i < 12; i++)
        assert_true(tunnel_retry_delay(&cut, &b, UINT64_MAX - (uint64_t) i) <= 1 * USEC_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_up_and_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a19_a20_strangers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goaway_and_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cycle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_greeting_must_be_welcome, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gateway_vanishes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freeing_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queue_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_urls, setup, teardown),
        cmocka_unit_test(test_decisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
