/* SPDX-License-Identifier: MIT */
/* Connections of operators: hello within its deadline, and the streams of the connection before. */
#include "gateway/sessions/operators.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/http/tunnel-handshake.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "lib/mux/carrier.h"

#define ROLE_OPERATOR "operator"
#define CONNECTION_KEY_SIZE 24
#define RESUME_DIGITS_MIN 32
/* All sessions that a person may have, and one that waits for its place among them. */
#define BRIDGES_PERSON_MAX (BRIDGE_SESSIONS_PERSON_MAX + BRIDGE_SESSIONS_BREAK_GLASS + 1)
#define RESUME_DIGITS_MAX 64

typedef struct OperatorConn OperatorConn;

struct Operators {
    sd_event *event;
    const DeviceRegistry *registry;
    operator_stream_t on_stream;
    void *userdata;
    Map *connections; /* by number → OperatorConn, owned */
    Map *bridges;     /* what they carry, by person, box and resume → Operator, owned */
    uint64_t next;
};

/* What is kept while connections come and go. */
struct Operator {
    Operators *owner;
    OperatorConn *conn; /* NULL while there is none */
    MuxCarrier *carrier;
    char *key, *person, *device, *token;
};

struct OperatorConn {
    Operators *owner;
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

static void operator_free(Operator *o)
{
    if (o->conn)
        o->conn->operator= NULL;
    if (o->key && map_get(o->owner->bridges, o->key) == o)
        map_take(o->owner->bridges, o->key);
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

static void conn_free(OperatorConn *c)
{
    char key[CONNECTION_KEY_SIZE];
    connection_key(key, c->number);
    map_take(c->owner->connections, key);
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
    o->owner->on_stream(o, s, open, o->owner->userdata);
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
    o->owner = c->owner;
    o->key = strdup(key);
    o->person = strdup(c->person);
    o->device = strdup(c->device);
    if (!o->key || !o->person || !o->device || mux_carrier_new(c->owner->event, &options, &o->carrier) < 0 ||
        map_put(c->owner->bridges, key, o) < 0) {
        operator_free(o);
        return NULL;
    }
    return o;
}

/* Those in use: what only remembers how its streams ended does not count. */
static size_t count_of(const Operators *os, const char *person)
{
    void *value;
    size_t n = 0;
    for (size_t i = 0; map_next(os->bridges, &i, NULL, &value);) {
        const Operator *o = value;
        n += (o->conn || operator_streams(o) > 0) && str_equal(o->person, person);
    }
    return n;
}

/* Ends the person's oldest bridge that carries nothing: whether a new one is for an emergency is known when its first stream names
 * a grant, and then its place is judged (take_place() of support-session.c). False: all of them carry something. */
static bool make_room(const Operators *os, const char *person)
{
    OperatorConn *oldest = NULL;
    void *value;

    for (size_t i = 0; map_next(os->bridges, &i, NULL, &value);) {
        const Operator *o = value;
        if (o->conn && operator_streams(o) == 0 && str_equal(o->person, person) &&
            (!oldest || o->conn->number < oldest->number))
            oldest = o->conn;
    }
    if (oldest)
        conn_close(oldest, WS_CLOSE_POLICY, "operator.too-many");
    return oldest;
}

/* Makes this the connection of what the hello goes on with, or of something new. */
static int conn_join(OperatorConn *c, const char *resume, Error *err)
{
    _cleanup_(secret_freep) char *key = str_format("%s/%s/%s", c->person, c->device, resume);
    Operator *o = key ? map_get(c->owner->bridges, key) : NULL;
    if (key && !o && count_of(c->owner, c->person) >= BRIDGES_PERSON_MAX && !make_room(c->owner, c->person))
        return error_set(err, EBUSY, "operator.too-many", "%s has %d bridges open already: close one", c->person,
                         BRIDGES_PERSON_MAX);
    if (key && !o)
        o = operator_new(c, key);
    char *token = o ? strdup(c->token) : NULL;
    if (!token)
        return error_from_errno(err, -ENOMEM, "opening a bridge");
    free(o->token);
    o->token = token;
    OperatorConn *older = o->conn;
    c->operator= o;
    o->conn = c;
    if (older) {
        older->operator= NULL;
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

static int conn_hello(OperatorConn *c, const char *text, size_t len, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *hello = NULL;
    int r = tunnel_read_hello(text, len, SENDER_OPERATOR, c->device, ROLE_OPERATOR, &hello, err);
    if (r >= 0 && !resume_is_good(json_string(hello, "resume")))
        r = error_set(err, EPROTO, "hello.resume", "hello needs \"resume\", %d to %d random hexadecimal digits",
                      RESUME_DIGITS_MIN, RESUME_DIGITS_MAX);
    if (r >= 0)
        r = conn_join(c, json_string(hello, "resume"), err);
    if (r < 0)
        return r;
    char connection[CONNECTION_KEY_SIZE];
    connection_key(connection, c->number);
    r = tunnel_welcome(c->ws, &(TunnelWelcome) { .device = c->device, .connection = connection });
    if (r < 0)
        return error_from_errno(err, r, "welcoming an operator");
    timer_disarm(c->deadline);
    mux_carrier_attach(c->operator->carrier, c->ws);
    return 0;
}

/* After its hello an operator says everything by streams; messages of later versions are not for us. */
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
    conn_free(userdata);
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
    c->owner = request->module;
    c->number = ++c->owner->next;
    c->person = strdup(request_person(request));
    c->device = strdup(request->args[0]);
    c->token = strdup(request->token_hash);
    connection_key(key, c->number);
    if (!c->person || !c->device || !c->token || map_put(c->owner->connections, key, c) < 0 ||
        timer_arm(c->owner->event, &c->deadline, TUNNEL_HELLO_DEADLINE, on_deadline, c) < 0) {
        conn_free(c);
        return NULL;
    }
    return c;
}

static int conn_upgrade(Request *request, Error *err)
{
    const Operators *os = request->module;
    int r = tunnel_check_upgrade(request->exchange, err);
    if (r < 0)
        return r;
    if (!device_registry_has_device(os->registry, request->args[0]))
        return error_set(err, ENOENT, "device.not-found", "there is no device \"%s\" here", request->args[0]);
    OperatorConn *c = conn_new(request);
    if (!c)
        return error_from_errno(err, -ENOMEM, "opening a bridge");
    r = tunnel_upgrade(request->exchange, &ws_events, c, &c->ws, err);
    if (r < 0)
        conn_free(c);
    else
        request->exchange = NULL;
    return r;
}

static void on_bridge(Request *c)
{
    Error err = {};
    int r = conn_upgrade(c, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_free(c);
    error_done(&err);
}

const Route operator_routes[] = {
    { "GET", "/v1/devices/*/bridge", ACCESS_SUPPORT, on_bridge, "a tunnel for sessions on the box" },
    {},
};

int operators_add_tokens(const Operators *os, char ***tokens)
{
    void *value;
    for (size_t i = 0; map_next(os->connections, &i, NULL, &value);) {
        const OperatorConn *c = value;
        if (!strv_contains(*tokens, c->token) && strv_add(tokens, c->token) < 0)
            return -ENOMEM;
    }
    for (size_t i = 0; map_next(os->bridges, &i, NULL, &value);) {
        const Operator *o = value;
        if (o->token && !strv_contains(*tokens, o->token) && strv_add(tokens, o->token) < 0)
            return -ENOMEM;
    }
    return 0;
}

void operators_end_token(Operators *os, const char *token, const char *reason)
{
    void *value;
    for (size_t i = 0; map_next(os->connections, &i, NULL, &value);) {
        OperatorConn *c = value;
        if (!c->ended && str_equal(c->token, token))
            conn_close(c, WS_CLOSE_POLICY, reason);
    }
    for (size_t i = 0; map_next(os->bridges, &i, NULL, &value);) {
        Operator *o = value;
        if (!o->conn && str_equal(o->token, token))
            operator_free(o);
    }
}

void operators_farewell(Operators *os)
{
    void *value;
    for (size_t i = 0; map_next(os->connections, &i, NULL, &value);)
        ws_conn_close(((OperatorConn *) value)->ws, WS_CLOSE_RESTART, "restart");
}

Operators *operators_new(sd_event *event, const DeviceRegistry *registry, operator_stream_t on_stream, void *userdata)
{
    Operators *os = calloc(1, sizeof(*os));
    if (!os)
        return NULL;
    *os = (Operators) { .event = event, .registry = registry, .on_stream = on_stream, .userdata = userdata };
    os->connections = map_new(NULL);
    os->bridges = map_new(NULL);
    return os->connections && os->bridges ? os : operators_free(os);
}

Operators *operators_free(Operators *os)
{
    void *value;
    if (!os)
        return NULL;
    for (size_t i = 0; os->connections && map_next(os->connections, &i, NULL, &value);)
        conn_free(value);
    for (size_t i = 0; os->bridges && map_next(os->bridges, &i, NULL, &value);)
        operator_free(value);
    map_free(os->connections);
    map_free(os->bridges);
    free(os);
    return NULL;
}
