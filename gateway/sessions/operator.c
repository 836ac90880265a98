/* SPDX-License-Identifier: MIT */
/* Connections of operators: hello within its deadline, and the streams of the connection before. */
#include "gateway/sessions/operator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/auth/auth.h"
#include "gateway/devices/device-connection.h"
#include "gateway/sessions/support-session.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "lib/mux/carrier.h"
#include "lib/websocket/accept.h"

#define ROLE_OPERATOR "operator"
#define HELLO_DEADLINE (10 * USEC_PER_SEC)
#define KEEPALIVE_INTERVAL (25 * USEC_PER_SEC)
#define KEEPALIVE_DEAD (60 * USEC_PER_SEC)
#define CONNECTION_KEY_SIZE 24
#define RESUME_DIGITS_MIN 32
#define RESUME_DIGITS_MAX 64

/* What is kept while connections come and go. */
struct Operator {
    Gateway *gateway;
    OperatorConn *conn; /* NULL while there is none */
    MuxCarrier *carrier;
    char *key, *person, *device, *token;
};

struct OperatorConn {
    Gateway *gateway;
    WsConn *ws;
    Operator *operator; /* NULL before its hello */
    uint64_t number;
    char *person, *device, *token;
    sd_event_source *deadline;
    bool ended;
};

const char *operator_person(const Operator *o)
{
    return o->person;
}

const char *operator_device(const Operator *o)
{
    return o->device;
}

const char *operator_token(const Operator *o)
{
    return o->token;
}

void operator_free(void *operator)
{
    Operator *o = operator;
    if (o->conn)
        o->conn->operator = NULL;
    if (o->key && map_get(o->gateway->bridges, o->key) == o)
        map_take(o->gateway->bridges, o->key);
    mux_carrier_free(o->carrier);
    secret_free(o->key);
    free(o->person);
    free(o->device);
    free(o->token);
    free(o);
}

static size_t operator_streams(const Operator *o)
{
    return mux_streams(mux_carrier_mux(o->carrier));
}

static void connection_key(char buf[static CONNECTION_KEY_SIZE], uint64_t number)
{
    snprintf(buf, CONNECTION_KEY_SIZE, "o-%" PRIx64, number);
}

/* The connection carries nothing from now on; what it carried waits for the next one. `for_good`: the operator has said
 * that there will be none, and does not ask any more how streams ended. */
static void conn_withdraw(OperatorConn *c, bool for_good)
{
    Operator *o = TAKE_PTR(c->operator);
    c->ended = true;
    if (!o)
        return;
    bool over = mux_is_idle(mux_carrier_mux(o->carrier)) || (for_good && operator_streams(o) == 0);
    mux_carrier_detach(o->carrier); /* with its connection still set, on_idle leaves it to us */
    if (over)
        operator_free(o);
    else
        o->conn = NULL;
}

void operator_conn_free(void *conn)
{
    OperatorConn *c = conn;
    char key[CONNECTION_KEY_SIZE];
    connection_key(key, c->number);
    map_take(c->gateway->operators, key);
    conn_withdraw(c, false);
    sd_event_source_disable_unref(c->deadline);
    ws_conn_free(c->ws);
    free(c->person);
    free(c->device);
    free(c->token);
    free(c);
}

static void conn_close(OperatorConn *c, uint16_t code, const char *reason)
{
    conn_withdraw(c, false);
    ws_conn_close(c->ws, code, reason);
}

void operator_send(Operator *o, const cJSON *message)
{
    _cleanup_(freep) char *text = message ? json_print(message) : NULL;
    if (!text || !o->conn || ws_conn_send_text(o->conn->ws, text, strlen(text)) < 0)
        log_debug("%s is not told what becomes of the bridge to %s", o->person, o->device);
}

static void on_idle(MuxCarrier *c _unused_, void *userdata)
{
    Operator *o = userdata;
    if (!o->conn)
        operator_free(o);
}

static void on_open(Mux *m _unused_, MuxStream *s, const cJSON *open, void *userdata)
{
    Operator *o = userdata;
    support_session_start(o->gateway, o, s, open);
}

static Operator *operator_new(OperatorConn *c, const char *key)
{
    Operator *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    const MuxCarrierOptions options = {
        .side = MUX_GATEWAY,
        .session_max = MUX_SESSION_MAX_GATEWAY,
        .on_open = on_open,
        .on_idle = on_idle,
        .userdata = o,
    };
    o->gateway = c->gateway;
    o->key = strdup(key);
    o->person = strdup(c->person);
    o->device = strdup(c->device);
    if (!o->key || !o->person || !o->device || mux_carrier_new(c->gateway->event, &options, &o->carrier) < 0 ||
        map_put(c->gateway->bridges, key, o) < 0) {
        operator_free(o);
        return NULL;
    }
    return o;
}

/* Those in use: what only remembers how its streams ended does not count. */
static size_t count_of(const Gateway *g, const char *person)
{
    void *value;
    size_t n = 0;
    for (size_t i = 0; map_next(g->bridges, &i, NULL, &value);) {
        const Operator *o = value;
        n += (o->conn || operator_streams(o) > 0) && str_equal(o->person, person);
    }
    return n;
}

/* Makes this the connection of what the hello goes on with, or of something new. */
static int conn_join(OperatorConn *c, const char *resume, Error *err)
{
    _cleanup_(secret_freep) char *key = str_format("%s/%s/%s", c->person, c->device, resume);
    Operator *o = key ? map_get(c->gateway->bridges, key) : NULL;
    if (key && !o && count_of(c->gateway, c->person) >= BRIDGE_SESSIONS_PERSON_MAX)
        return error_set(err, EBUSY, "operator.too-many", "%s has %d bridges open already: close one", c->person,
                         BRIDGE_SESSIONS_PERSON_MAX);
    if (key && !o)
        o = operator_new(c, key);
    char *token = o ? strdup(c->token) : NULL;
    if (!token)
        return error_from_errno(err, -ENOMEM, "opening a bridge");
    free(o->token);
    o->token = token;
    OperatorConn *older = o->conn;
    c->operator = o;
    o->conn = c;
    if (older) {
        older->operator = NULL;
        mux_carrier_detach(o->carrier);
        conn_close(older, WS_CLOSE_GOING_AWAY, "replaced by a newer connection");
    }
    return 0;
}

static bool resume_is_good(const char *resume)
{
    size_t len = resume ? strspn(resume, "0123456789abcdef") : 0;
    return len >= RESUME_DIGITS_MIN && len <= RESUME_DIGITS_MAX && resume[len] == '\0';
}

static int check_hello(const OperatorConn *c, const MessageType *type, const cJSON *hello, Error *err)
{
    if (!str_equal(type->name, "hello"))
        return error_set(err, EPROTO, "hello.missing", "the first message is %s, not hello", type->name);
    if (!str_equal(json_string(hello, "deviceId"), c->device) || !str_equal(json_string(hello, "role"), ROLE_OPERATOR))
        return error_set(err, EPROTO, "hello.identity", "hello names another box or role than the path");
    if (!resume_is_good(json_string(hello, "resume")))
        return error_set(err, EPROTO, "hello.resume", "hello needs \"resume\", %d to %d random hexadecimal digits",
                         RESUME_DIGITS_MIN, RESUME_DIGITS_MAX);
    return 0;
}

static int send_welcome(OperatorConn *c)
{
    char now[TIMESTAMP_SIZE], connection[CONNECTION_KEY_SIZE];
    connection_key(connection, c->number);
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("welcome");
    if (!m || json_add_string(m, "deviceId", c->device) < 0 ||
        json_add_string(m, "serverTime", timestamp_format(realtime_usec(), now)) < 0 ||
        json_add_string(m, "connection", connection) < 0)
        return -ENOMEM;
    _cleanup_(freep) char *text = json_print(m);
    return text ? ws_conn_send_text(c->ws, text, strlen(text)) : -ENOMEM;
}

static int conn_hello(OperatorConn *c, const char *text, size_t len, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *hello = NULL;
    const MessageType *type = NULL;
    int r = message_parse(text, len, SENDER_OPERATOR, &hello, &type, err);
    if (r >= 0)
        r = check_hello(c, type, hello, err);
    if (r >= 0)
        r = conn_join(c, json_string(hello, "resume"), err);
    if (r < 0)
        return r;
    r = send_welcome(c);
    if (r < 0)
        return error_from_errno(err, r, "welcoming an operator");
    timer_disarm(c->deadline);
    ws_conn_set_message_max(c->ws, WS_MESSAGE_MAX);
    mux_carrier_attach(c->operator->carrier, c->ws);
    return 0;
}

/* Behind its hello an operator says everything by streams; messages of the future are not for us. */
static void on_text(WsConn *ws _unused_, const char *text, size_t len, void *userdata)
{
    OperatorConn *c = userdata;
    Error err = {};
    if (c->ended || c->operator)
        return;
    int r = conn_hello(c, text, len, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_NOTICE, NULL, &err, r, "a bridge of %s to %s is refused", c->person, c->device);
        conn_close(c, WS_CLOSE_POLICY, error_id(&err));
    }
    error_done(&err);
}

static void on_binary(WsConn *ws _unused_, const uint8_t *data, size_t len, void *userdata)
{
    OperatorConn *c = userdata;
    if (c->operator)
        mux_carrier_on_binary(c->operator->carrier, data, len);
}

static void on_writable(WsConn *ws _unused_, void *userdata)
{
    OperatorConn *c = userdata;
    if (c->operator)
        mux_carrier_on_writable(c->operator->carrier);
}

static void on_closed(WsConn *ws _unused_, uint16_t code, const Error *err _unused_, void *userdata)
{
    conn_withdraw(userdata, code == WS_CLOSE_NORMAL);
    operator_conn_free(userdata);
}

static const WsEvents ws_events = {
    .on_text = on_text,
    .on_binary = on_binary,
    .on_closed = on_closed,
    .on_writable = on_writable,
};

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    conn_close(userdata, WS_CLOSE_POLICY, "no hello in time");
    return 0;
}

static OperatorConn *conn_new(const Request *request)
{
    char key[CONNECTION_KEY_SIZE];
    OperatorConn *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->gateway = request->gateway;
    c->number = ++request->gateway->next_connection;
    c->person = strdup(auth_person(request));
    c->device = strdup(request->args[0]);
    c->token = strdup(request->token_hash);
    connection_key(key, c->number);
    if (!c->person || !c->device || !c->token || map_put(c->gateway->operators, key, c) < 0 ||
        timer_arm(c->gateway->event, &c->deadline, HELLO_DEADLINE, on_deadline, c) < 0) {
        operator_conn_free(c);
        return NULL;
    }
    return c;
}

static int conn_upgrade(Request *request, Error *err)
{
    if (!ws_is_wanted(request->exchange))
        return error_set(err, EINVAL, "ws.not-an-upgrade", "this is a tunnel: it takes WebSocket upgrades only");
    if (!device_registry_has_device(request->gateway->registry, request->args[0]))
        return error_set(err, ENOENT, "device.not-found", "there is no device \"%s\" here", request->args[0]);
    OperatorConn *c = conn_new(request);
    if (!c)
        return error_from_errno(err, -ENOMEM, "opening a bridge");
    int r = ws_accept(request->exchange, TUNNEL_SUBPROTOCOL, &c->ws, err);
    if (r < 0) {
        operator_conn_free(c);
        return r == -ENOMEM ? r : -EINVAL;
    }
    request->exchange = NULL;
    ws_conn_set_events(c->ws, &ws_events, c);
    ws_conn_set_keepalive(c->ws, KEEPALIVE_INTERVAL, KEEPALIVE_DEAD);
    ws_conn_set_message_max(c->ws, HELLO_SIZE_MAX);
    return 0;
}

void operator_accept(Request *c)
{
    Error err = {};
    int r = conn_upgrade(c, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_free(c);
    error_done(&err);
}

int operators_add_tokens(const Gateway *g, char ***tokens)
{
    void *value;
    for (size_t i = 0; map_next(g->operators, &i, NULL, &value);) {
        const OperatorConn *c = value;
        if (!strv_contains(*tokens, c->token) && strv_add(tokens, c->token) < 0)
            return -ENOMEM;
    }
    for (size_t i = 0; map_next(g->bridges, &i, NULL, &value);) {
        const Operator *o = value;
        if (o->token && !strv_contains(*tokens, o->token) && strv_add(tokens, o->token) < 0)
            return -ENOMEM;
    }
    return 0;
}

void operators_end_token(Gateway *g, const char *token, const char *reason)
{
    void *value;
    for (size_t i = 0; map_next(g->operators, &i, NULL, &value);) {
        OperatorConn *c = value;
        if (!c->ended && str_equal(c->token, token))
            conn_close(c, WS_CLOSE_POLICY, reason);
    }
    for (size_t i = 0; map_next(g->bridges, &i, NULL, &value);) {
        Operator *o = value;
        if (!o->conn && str_equal(o->token, token))
            operator_free(o);
    }
}

void operator_farewell(Gateway *g)
{
    void *value;
    for (size_t i = 0; map_next(g->operators, &i, NULL, &value);) {
        OperatorConn *c = value;
        ws_conn_close(c->ws, WS_CLOSE_RESTART, "restart");
    }
}
