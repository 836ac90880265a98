/* SPDX-License-Identifier: MIT */
/* Streams through a real tunnel over TLS: across cuts and new connections, and what a tunnel does with them otherwise. */
#include "tests/unit/certificate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/http/server.h"
#include "lib/tunnel/message.h"
#include "lib/mux/carrier.h"
#include "lib/net/stream-impl.h"
#include "lib/tunnel/tunnel.h"
#include "lib/websocket/accept.h"

#define WELCOME                                                                                                        \
    "{\"type\":\"welcome\",\"deviceId\":\"d\",\"serverTime\":\"2026-01-02T03:04:05.678Z\",\"connection\":\"c\"}"
#define CHALLENGE "{\"type\":\"challenge\",\"nonce\":\"n-1\",\"serverTime\":\"2026-01-02T03:04:05.678Z\"}"
#define CUTS 10
#define BULK ((size_t) 24 * 1000 * 1000)

static char folder[] = "/tmp/secbox-test-streams-XXXXXX";

/* One end of a stream: sends a pattern of its own, checks the other's. */
typedef struct Flow {
    MuxStream *s;
    size_t to_send, sent, received;
    uint8_t seed, peer_seed;
    bool accepted, ended, closed;
    char *reason;
} Flow;

typedef struct World {
    sd_event *event;
    HttpServer *server;
    WsConn *ws; /* the gateway's newest connection */
    MuxCarrier *carrier;
    Tunnel *tunnel;
    const char *greeting; /* the gateway's first message; NULL: hello comes first */
    unsigned greetings;
    char *hello, *authorization, *down_id;
    unsigned ups, downs, idle, challenges;
    uint16_t gateway_code;
    int status, down_status;
    usec_t down_delay;
    bool free_on_stream;
    Flow box, gateway;
} World;

static uint8_t byte_at(uint8_t seed, size_t position)
{
    return (uint8_t) ((position * 2654435761u >> 9) + seed);
}

static void flow_send(Flow *f)
{
    while (f->s && f->sent < f->to_send) {
        size_t len = 0;
        uint8_t *to = mux_stream_reserve(f->s, &len);
        if (!to)
            return;
        len = len < f->to_send - f->sent ? len : f->to_send - f->sent;
        for (size_t i = 0; i < len; i++)
            to[i] = byte_at(f->seed, f->sent + i);
        f->sent += len;
        mux_stream_commit(f->s, len);
    }
    if (f->s && f->to_send > 0)
        mux_stream_finish(f->s);
}

static void on_accepted(MuxStream *s, void *userdata)
{
    Flow *f = userdata;
    assert_ptr_equal(s, f->s);
    f->accepted = true;
}

static void on_data(MuxStream *s, const uint8_t *data, size_t len, void *userdata)
{
    Flow *f = userdata;
    for (size_t i = 0; i < len; i++)
        if (data[i] != byte_at(f->peer_seed, f->received + i))
            fail_msg("byte %zu differs", f->received + i);
    f->received += len;
    mux_stream_consumed(s, len);
}

static void on_room(MuxStream *s, void *userdata)
{
    (void) s;
    flow_send(userdata);
}

static void on_end(MuxStream *s, void *userdata)
{
    Flow *f = userdata;
    (void) s;
    f->ended = true;
}

static void on_stream_closed(MuxStream *s, const char *reason, void *userdata)
{
    Flow *f = userdata;
    assert_ptr_equal(s, f->s);
    f->s = NULL;
    f->closed = true;
    f->reason = reason ? strdup(reason) : NULL;
}

static const MuxStreamEvents flow_events = {
    .on_accepted = on_accepted,
    .on_data = on_data,
    .on_room = on_room,
    .on_end = on_end,
    .on_closed = on_stream_closed,
};

static void on_gateway_text(WsConn *c, const char *text, size_t len, void *userdata)
{
    World *w = userdata;
    (void) len;
    if (!strstr(text, "\"hello\""))
        return;
    free(w->hello);
    w->hello = strdup(text);
    assert_true(ws_conn_send_text(c, WELCOME, strlen(WELCOME)) >= 0);
    mux_carrier_attach(w->carrier, c);
}

static void on_gateway_binary(WsConn *c, const uint8_t *data, size_t len, void *userdata)
{
    World *w = userdata;
    if (c == w->ws)
        mux_carrier_on_binary(w->carrier, data, len);
}

static void on_gateway_writable(WsConn *c, void *userdata)
{
    World *w = userdata;
    assert_ptr_equal(c, w->ws);
    mux_carrier_on_writable(w->carrier);
}

static void gateway_drop(World *w)
{
    mux_carrier_detach(w->carrier);
    w->ws = ws_conn_free(w->ws);
}

static void on_gateway_closed(WsConn *c, uint16_t code, const Error *err, void *userdata)
{
    World *w = userdata;
    (void) err;
    w->gateway_code = code;
    if (w->ws == c)
        gateway_drop(w);
    else
        ws_conn_free(c);
}

static const WsEvents gateway_events = {
    .on_text = on_gateway_text,
    .on_binary = on_gateway_binary,
    .on_writable = on_gateway_writable,
    .on_closed = on_gateway_closed,
};

static void on_request(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    free(w->authorization);
    const char *authorization = http_header(x, "Authorization");
    w->authorization = authorization ? strdup(authorization) : NULL;
    if (w->status) {
        static const char body[] = "{\"error\":{\"id\":\"auth.test\",\"message\":\"no\"}}";
        http_respond(x, w->status, "application/json", body, strlen(body), NULL);
        return;
    }
    if (w->ws)
        gateway_drop(w);
    assert_true(ws_accept(x, "secbox.v1", &w->ws, NULL) >= 0);
    ws_conn_set_events(w->ws, &gateway_events, w);
    for (unsigned i = 0; i < w->greetings; i++)
        assert_true(ws_conn_send_text(w->ws, w->greeting, strlen(w->greeting)) >= 0);
}

static void on_idle(MuxCarrier *c, void *userdata)
{
    World *w = userdata;
    assert_ptr_equal(c, w->carrier);
    w->idle++;
}

static cJSON *make_hello(Tunnel *t, void *userdata)
{
    (void) t;
    (void) userdata;
    return message_new("hello");
}

static cJSON *answer_challenge(Tunnel *t, const cJSON *challenge, void *userdata)
{
    World *w = userdata;
    (void) t;
    w->challenges++;
    cJSON *hello = message_new("hello");
    assert_true(json_add_string(hello, "proof", json_string(challenge, "nonce")) >= 0);
    return hello;
}

static const char *get_token(Tunnel *t, void *userdata)
{
    (void) t;
    (void) userdata;
    return "token";
}

static void on_up(Tunnel *t, const cJSON *welcome, void *userdata)
{
    World *w = userdata;
    (void) welcome;
    assert_string_equal(tunnel_address(t), "127.0.0.1");
    w->ups++;
}

static void on_message(Tunnel *t, const cJSON *message, const char *text, void *userdata)
{
    (void) t;
    (void) message;
    (void) userdata;
    fail_msg("%s", text);
}

static void on_down(Tunnel *t, int http_status, usec_t retry_in, const Error *err, void *userdata)
{
    World *w = userdata;
    w->downs++;
    w->down_status = http_status;
    w->down_delay = retry_in;
    free(w->down_id);
    w->down_id = strdup(err->id);
    tunnel_retry(t);
}

static void on_stream(Tunnel *t, MuxStream *s, const cJSON *open, void *userdata)
{
    World *w = userdata;
    assert_string_equal(json_string(open, "target"), "bulk");
    if (w->free_on_stream) {
        w->tunnel = tunnel_free(t);
        return;
    }
    w->box.s = s;
    mux_stream_accept(s, &flow_events, &w->box);
    flow_send(&w->box);
}

#define COMMON .on_up = on_up, .on_message = on_message, .on_down = on_down
static const TunnelEvents with_streams = {
    .make_hello = make_hello, .get_token = get_token, COMMON, .on_stream = on_stream
};
static const TunnelEvents without_streams = { .make_hello = make_hello, .get_token = get_token, COMMON };
static const TunnelEvents with_challenge = { .answer_challenge = answer_challenge, COMMON, .on_stream = on_stream };

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    _cleanup_(freep) char *cert = str_format("%s/cert.pem", folder);
    _cleanup_(freep) char *key = str_format("%s/key.pem", folder);
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    HttpServerOptions options = {
        .address = "127.0.0.1",
        .cert_file = cert,
        .key_file = key,
        .max_connections = 64,
        .handler = on_request,
        .userdata = w,
    };
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    MuxCarrierOptions carrier = {
        .side = MUX_GATEWAY,
        .session_max = MUX_SESSION_MAX_GATEWAY,
        .on_idle = on_idle,
        .userdata = w,
    };
    assert_true(mux_carrier_new(w->event, &carrier, &w->carrier) >= 0);
    w->box = (Flow) { .seed = 1, .peer_seed = 2 };
    w->gateway = (Flow) { .seed = 2, .peer_seed = 1 };
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    tunnel_free(w->tunnel);
    mux_carrier_free(w->carrier);
    ws_conn_free(w->ws);
    http_server_free(w->server);
    sd_event_unref(w->event);
    free(w->hello);
    free(w->authorization);
    free(w->down_id);
    free(w->box.reason);
    free(w->gateway.reason);
    free(w);
    return 0;
}

#define RUN_UNTIL(w, condition)                                                                                        \
    while (!(condition))                                                                                               \
    assert_true(sd_event_run((w)->event, 10000) >= 0)

static void start(World *w, const TunnelEvents *events, const char *host, const char *const *known)
{
    _cleanup_(freep) char *url = str_format("wss://%s:%u/mgmt", host, http_server_port(w->server));
    _cleanup_(freep) char *ca = str_format("%s/cert.pem", folder);
    TunnelOptions options = { .url = url, .ca_file = ca, .known_addresses = known, .events = events, .userdata = w };
    assert_true(tunnel_new(w->event, &options, &w->tunnel, NULL) >= 0);
}

static void open_from(Flow *f, Mux *m)
{
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    assert_true(json_add_string(open, "target", "bulk") >= 0);
    assert_non_null(m);
    assert_true(mux_open(m, open, &flow_events, f, &f->s) >= 0);
    flow_send(f);
}

/* Both directions at full speed over ten connections that break wherever they happen to be. */
static void test_ten_cuts(void **state)
{
    World *w = *state;
    start(w, &with_streams, "localhost", NULL);
    RUN_UNTIL(w, w->ups == 1);
    w->box.to_send = w->gateway.to_send = BULK;
    open_from(&w->gateway, mux_carrier_mux(w->carrier));
    for (unsigned cut = 1; cut <= CUTS; cut++) {
        RUN_UNTIL(w, w->ups == cut && w->box.received >= BULK / (CUTS + 1) * cut &&
                         w->gateway.received >= BULK / (CUTS + 1) * cut);
        if (cut % 3 == 1)
            gateway_drop(w);
        else if (cut % 3 == 2)
            tunnel_cycle(w->tunnel);
        else
            ws_conn_close(w->ws, WS_CLOSE_RESTART, "restart");
    }
    RUN_UNTIL(w, w->box.closed && w->gateway.closed);
    assert_null(w->box.reason);
    assert_null(w->gateway.reason);
    assert_true(w->gateway.accepted && w->box.ended && w->gateway.ended);
    assert_int_equal(w->box.received, BULK);
    assert_int_equal(w->gateway.received, BULK);
    assert_int_equal(w->downs, CUTS);
}

/* As if MUX_GRACE had passed, so that nobody can ask any more how the streams ended. */
static void pass_grace(World *w)
{
    Mux *m = mux_carrier_mux(w->carrier);
    assert_int_equal(w->idle, 0);
    assert_false(mux_is_idle(m));
    (void) mux_tick(m, boottime_usec() + MUX_GRACE);
    assert_true(mux_is_idle(m));
    /* makes the carrier look */
    open_from(&w->gateway, m);
    mux_stream_reset(w->gateway.s, NULL);
}

/* The box opens, while there is no connection yet; without streams and connection the gateway's part may go. */
static void test_box_opens(void **state)
{
    World *w = *state;
    start(w, &without_streams, "localhost", NULL);
    w->box.to_send = 1000;
    open_from(&w->box, tunnel_mux(w->tunnel));
    assert_ptr_equal(mux_stream_mux(w->box.s), tunnel_mux(w->tunnel));
    RUN_UNTIL(w, w->box.closed);
    /* the gateway's carrier has nobody who takes streams */
    assert_string_equal(w->box.reason, "stream.no-target");
    assert_int_equal(w->idle, 0);
    w->tunnel = tunnel_free(w->tunnel);
    RUN_UNTIL(w, !w->ws);
    pass_grace(w);
    RUN_UNTIL(w, w->idle > 0);
    assert_int_equal(w->idle, 1);
}

static void test_without_streams(void **state)
{
    World *w = *state;
    start(w, &without_streams, "localhost", NULL);
    RUN_UNTIL(w, w->ups == 1);
    open_from(&w->gateway, mux_carrier_mux(w->carrier));
    RUN_UNTIL(w, w->downs == 1);
    assert_int_equal(w->gateway_code, WS_CLOSE_UNSUPPORTED);
}

static void test_no_frame(void **state)
{
    World *w = *state;
    start(w, &with_streams, "localhost", NULL);
    RUN_UNTIL(w, w->ups == 1);
    assert_true(ws_conn_send_binary(w->ws, (const uint8_t *) "no frame", 8) >= 0);
    RUN_UNTIL(w, w->gateway_code == WS_CLOSE_PROTOCOL && w->ups == 2);
    assert_int_equal(w->downs, 1);
}

static void test_freed_inside(void **state)
{
    World *w = *state;
    w->free_on_stream = true;
    start(w, &with_streams, "localhost", NULL);
    RUN_UNTIL(w, w->ups == 1);
    open_from(&w->gateway, mux_carrier_mux(w->carrier));
    RUN_UNTIL(w, !w->tunnel && !w->ws);
    assert_non_null(w->gateway.s);
    mux_stream_reset(w->gateway.s, "test.over");
    pass_grace(w);
    RUN_UNTIL(w, w->idle == 1);
}

static void test_challenge(void **state)
{
    World *w = *state;
    w->greeting = CHALLENGE;
    w->greetings = 1;
    w->status = 403;
    start(w, &with_challenge, "localhost", NULL);
    RUN_UNTIL(w, w->downs == 1);
    /* no token would come that could end the waiting */
    assert_int_equal(w->down_status, 403);
    assert_true(w->down_delay < USEC_INFINITY);
    w->status = 0;
    RUN_UNTIL(w, w->ups == 1);
    assert_null(w->authorization);
    assert_non_null(strstr(w->hello, "\"proof\":\"n-1\""));
    w->box.to_send = w->gateway.to_send = 50000;
    open_from(&w->gateway, mux_carrier_mux(w->carrier));
    RUN_UNTIL(w, w->box.closed && w->gateway.closed);
    assert_int_equal(w->box.received, 50000);
    /* measured from the moment that there was a stream */
    RUN_UNTIL(w, ws_conn_rtt(w->ws) > 0);
}

/* A gateway that asks twice, or welcomes without having asked, is none. */
static void test_challenge_once(void **state)
{
    World *w = *state;
    w->greeting = WELCOME;
    w->greetings = 1;
    start(w, &with_challenge, "localhost", NULL);
    RUN_UNTIL(w, w->downs == 1);
    assert_string_equal(w->down_id, "tunnel.no-welcome");
    assert_int_equal(w->challenges, 0);
    w->greeting = CHALLENGE;
    w->greetings = 2;
    RUN_UNTIL(w, w->downs == 2);
    assert_string_equal(w->down_id, "tunnel.no-welcome");
    assert_int_equal(w->challenges, 1);
}

/* The resolver knows nothing: the certificate still has to be that of the URL's host. */
static void test_known_address(void **state)
{
    World *w = *state;
    static const char *const known[] = { "127.0.0.1", NULL };
    start(w, &with_streams, "gateway.invalid", NULL);
    assert_null(tunnel_address(w->tunnel));
    RUN_UNTIL(w, w->downs == 1);
    assert_string_equal(w->down_id, "stream.resolve");
    assert_int_equal(tunnel_set_known(w->tunnel, known, 0), 0);
    RUN_UNTIL(w, w->ups == 1);
    w->tunnel = tunnel_free(w->tunnel);
    start(w, &with_streams, "other.invalid", known);
    unsigned before = w->downs;
    RUN_UNTIL(w, w->downs == before + 1);
    assert_string_equal(w->down_id, "stream.tls");
}

/* Past a proxy that leads nowhere the resolver is asked first: what the gateway's address was may be long ago. */
static void test_past_a_proxy(void **state)
{
    World *w = *state;
    static const char *const known[] = { "127.0.0.9", NULL };
    assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
    start(w, &with_streams, "localhost", known);
    RUN_UNTIL(w, w->downs == 1);
    assert_string_equal(w->down_id, "stream.connect");
    assert_true(tunnel_goes_past_proxy(w->tunnel));
    RUN_UNTIL(w, w->ups == 1 || w->downs == 2);
    assert_int_equal(w->ups, 1);
    assert_int_equal(unsetenv("https_proxy"), 0);
}

static void on_stranger(HttpExchange *x, void *userdata)
{
    (void) userdata;
    http_respond(x, 200, "text/html", "buy now", 7, NULL);
}

/* The name has two addresses, and at the first one stands somebody else. */
static void start_behind_stranger(World *w, HttpServerOptions *stranger, const char *addresses,
                                  const char *const *known, HttpServer **ret)
{
    static char path[sizeof folder + 16];
    (void) snprintf(path, sizeof path, "%s/resolver", folder);
    stranger->address = "127.0.0.2";
    stranger->port = http_server_port(w->server);
    stranger->handler = on_stranger;
    stranger->userdata = w;
    assert_true(file_write_atomic(path, addresses, strlen(addresses), 0755, (uid_t) -1, (gid_t) -1, NULL) >= 0);
    assert_true(http_server_new(w->event, stranger, ret, NULL) >= 0);
    stream_resolver = path;
    start(w, &with_streams, "localhost", known);
}

/* A resolver that leads everybody to its own pages: the address that was good before is tried as well. */
static void test_resolver_lies(void **state)
{
    World *w = *state;
    static const char *const known[] = { "127.0.0.1", NULL };
    const char *usual = stream_resolver;
    _cleanup_(http_server_freep) HttpServer *stranger = NULL;
    HttpServerOptions plain = {};
    start_behind_stranger(w, &plain, "#!/bin/sh\necho '127.0.0.2  STREAM localhost'\n", known, &stranger);
    RUN_UNTIL(w, w->ups == 1);
    assert_int_equal(w->downs, 0);
    stream_resolver = usual;
}

/* TLS stands, and then comes no gateway: the next try does not begin there again, nor does one long after. */
static void test_next_address(void **state)
{
    World *w = *state;
    const char *usual = stream_resolver;
    _cleanup_(http_server_freep) HttpServer *stranger = NULL;
    _cleanup_(freep) char *cert = str_format("%s/cert.pem", folder);
    _cleanup_(freep) char *key = str_format("%s/key.pem", folder);
    HttpServerOptions tls = { .cert_file = cert, .key_file = key, .max_connections = 4 };
    start_behind_stranger(w, &tls, "#!/bin/sh\necho '127.0.0.2 STREAM localhost'\necho '127.0.0.1 STREAM'\n", NULL,
                          &stranger);
    RUN_UNTIL(w, w->ups == 1);
    assert_string_equal(w->down_id, "tunnel.stranger");
    assert_int_equal(w->downs, 1);
    tunnel_cycle(w->tunnel);
    RUN_UNTIL(w, w->ups == 2);
    assert_string_equal(w->down_id, "tunnel.cycle");
    stream_resolver = usual;
}

static void write_ca(const char *path, const char *text, size_t len)
{
    assert_true(file_write_atomic(path, text, len, 0644, (uid_t) -1, (gid_t) -1, NULL) >= 0);
}

/* An authority is rotated: the file names the new one as well, long after it was read. */
static void test_authorities_change(void **state)
{
    World *w = *state;
    _cleanup_(freep) char *url = str_format("wss://localhost:%u/mgmt", http_server_port(w->server));
    _cleanup_(freep) char *cert = str_format("%s/cert.pem", folder), *other = str_format("%s/other.pem", folder);
    _cleanup_(freep) char *ca = str_format("%s/ca.pem", folder);
    _cleanup_(freep) char *good = NULL, *stranger = NULL;
    size_t good_len = 0, stranger_len = 0;
    assert_true(file_read(cert, 65536, &good, &good_len, NULL) >= 0);
    assert_true(file_read(other, 65536, &stranger, &stranger_len, NULL) >= 0);
    write_ca(ca, stranger, stranger_len);
    TunnelOptions options = { .url = url, .ca_file = ca, .events = &with_streams, .userdata = w };
    assert_true(tunnel_new(w->event, &options, &w->tunnel, NULL) >= 0);
    RUN_UNTIL(w, w->downs == 1);
    assert_string_equal(w->down_id, "stream.tls");
    _cleanup_(freep) char *both = str_format("%s%s", stranger, good);
    write_ca(ca, both, strlen(both));
    RUN_UNTIL(w, w->ups == 1);
    /* one that cannot be read changes nothing */
    write_ca(ca, "", 0);
    tunnel_cycle(w->tunnel);
    RUN_UNTIL(w, w->ups == 2);
}

static int make_certificate(void **state)
{
    const char *const names = "DNS:localhost,DNS:gateway.invalid";

    (void) state;
    assert_non_null(mkdtemp(folder));
    make_self_signed(folder, "key.pem", "cert.pem", names);
    make_self_signed(folder, "other-key.pem", "other.pem", names);
    return 0;
}

static int remove_certificate(void **state)
{
    (void) state;
    return dir_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ten_cuts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_box_opens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_challenge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_challenge_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_known_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_past_a_proxy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resolver_lies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_next_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_authorities_change, setup, teardown),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
