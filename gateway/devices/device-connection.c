/* SPDX-License-Identifier: MIT */
/* Tunnels: who may open one, hello within its deadline, and the newest wins. */
#include "gateway/devices/device-connection-impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/devices/admission.h"
#include "gateway/auth/auth.h"
#include "gateway/devices/challenger.h"
#include "gateway/devices/device-query.h"
#include "gateway/devices/recovery-reports.h"
#include "gateway/sessions/support-session.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "lib/websocket/accept.h"
#include "lib/websocket/connection.h"

#define PROTOCOL_VERSION 1
#define HELLO_DEADLINE (10 * USEC_PER_SEC)
#define KEEPALIVE_INTERVAL (25 * USEC_PER_SEC)
#define KEEPALIVE_DEAD (60 * USEC_PER_SEC)
#define AGENT_VERSION_MAX 64
#define CONNECTION_KEY_SIZE 24

static int tunnel_key(char **ret, const char *device, Role role)
{
    *ret = str_format("%s/%s", device, role_name(role));
    return *ret ? 0 : -ENOMEM;
}

static void connection_key(char buf[static CONNECTION_KEY_SIZE], uint64_t number)
{
    snprintf(buf, CONNECTION_KEY_SIZE, "c-%" PRIx64, number);
}

bool device_conn_path(const char *path, Role *ret)
{
    return path[0] == '/' && role_parse(path + 1, ret) >= 0;
}

DeviceConn *device_conn_find(const Gateway *g, const char *device, Role role)
{
    _cleanup_(freep) char *key = NULL;
    return tunnel_key(&key, device, role) < 0 ? NULL : map_get(g->tunnels, key);
}

const char *device_conn_device(const DeviceConn *s)
{
    return s->device;
}

Role device_conn_role(const DeviceConn *s)
{
    return s->role;
}

uint64_t device_conn_number(const DeviceConn *s)
{
    return s->number;
}

uint64_t device_conn_version_floor(const DeviceConn *s)
{
    return s->version_floor;
}

bool device_conn_agent_spoke(const DeviceConn *s)
{
    return s->agent_spoke;
}

bool device_conn_takes_updates(const DeviceConn *s)
{
    return s->takes_updates;
}

int device_conn_send(DeviceConn *s, const cJSON *message)
{
    _cleanup_(freep) char *text = message ? json_print(message) : NULL;
    return text ? ws_conn_send_text(s->ws, text, strlen(text)) : -ENOMEM;
}

void device_conn_log(const DeviceConn *s, LogLevel level, const Error *err, int r, const char *what)
{
    const LogField fields[] = { { "DEVICE", s->device }, { "ROLE", role_name(s->role) }, {} };
    if (r < 0)
        log_failure(level, fields, err, r, "%s of %s from %s: %s", role_name(s->role), s->device,
                    ws_conn_peer(s->ws), what);
    else
        log_line(level, fields, "%s of %s from %s: %s", role_name(s->role), s->device, ws_conn_peer(s->ws),
                 what);
}

/* Out of the registry: nothing is sent through it any more. */
static void session_withdraw(DeviceConn *s)
{
    if (!s->up || s->ended)
        return;
    s->ended = true;
    BoxStreams *streams = TAKE_PTR(s->streams);
    if (streams)
        box_streams_detach(streams);
    _cleanup_(freep) char *key = NULL;
    if (tunnel_key(&key, s->device, s->role) >= 0 && map_get(s->gateway->tunnels, key) == s)
        map_take(s->gateway->tunnels, key);
    if (s->role == ROLE_MGMT)
        device_query_gone(s->gateway, s->device);
}

DeviceConn *device_conn_free(DeviceConn *s)
{
    if (!s)
        return NULL;
    char key[CONNECTION_KEY_SIZE];
    connection_key(key, s->number);
    map_take(s->gateway->connections, key);
    sd_event_source_disable_unref(s->deadline);
    if (s->streams)
        box_streams_detach(TAKE_PTR(s->streams));
    ws_conn_free(s->ws);
    free(s->device);
    free(s->agent_version);
    free(s->services);
    free(s->unsaved_status);
    free(s);
    return NULL;
}

void device_conn_close(DeviceConn *s, uint16_t code, const char *reason)
{
    session_withdraw(s);
    s->ended = true;
    ws_conn_close(s->ws, code, reason);
}

static int on_hello_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    device_conn_log(userdata, LOG_LEVEL_NOTICE, NULL, 0, "no hello in time, closing");
    device_conn_close(userdata, WS_CLOSE_POLICY, "no hello in time");
    return 0;
}

static int send_welcome(DeviceConn *s)
{
    char now[TIMESTAMP_SIZE], connection[CONNECTION_KEY_SIZE];
    connection_key(connection, s->number);
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("welcome");
    if (!m || json_add_string(m, "deviceId", s->device) < 0 ||
        json_add_string(m, "serverTime", timestamp_format(realtime_usec(), now)) < 0 ||
        json_add_string(m, "connection", connection) < 0 ||
        json_add_int(m, "spreadSeconds", admission_spread(s->gateway, device_registry_keys(s->gateway->registry))) < 0)
        return -ENOMEM;
    return device_conn_send(s, m);
}

/* Makes this the tunnel of its device and role; an older one is closed. */
static int device_conn_register(DeviceConn *s)
{
    _cleanup_(freep) char *key = NULL;
    int r = tunnel_key(&key, s->device, s->role);
    if (r < 0)
        return r;
    DeviceConn *older = map_get(s->gateway->tunnels, key);
    if (older) {
        device_conn_log(older, LOG_LEVEL_INFO, NULL, 0, "replaced by a newer connection");
        device_conn_close(older, WS_CLOSE_GOING_AWAY, "replaced by a newer connection");
    }
    return map_put(s->gateway->tunnels, key, s);
}

/* The tunnel's streams, those of the connection before or, with `make`, new ones. */
static BoxStreams *device_conn_streams(DeviceConn *s, bool make)
{
    _cleanup_(freep) char *key = NULL;
    if (s->streams || !s->up || s->ended || tunnel_key(&key, s->device, s->role) < 0)
        return s->streams;
    s->streams = make ? box_streams_make(s->gateway, key) : box_streams_find(s->gateway, key);
    if (s->streams)
        mux_carrier_attach(box_streams_carrier(s->streams), s->ws);
    return s->streams;
}

bool device_conn_takes_streams(const DeviceConn *s)
{
    return s->takes_streams;
}

Mux *device_conn_mux(DeviceConn *s)
{
    BoxStreams *streams = s->takes_streams ? device_conn_streams(s, true) : NULL;
    return streams ? mux_carrier_mux(box_streams_carrier(streams)) : NULL;
}

static int check_hello(const DeviceConn *s, const cJSON *m, Error *err)
{
    uint64_t protocol = PROTOCOL_VERSION;
    if (!str_equal(json_string(m, "deviceId"), s->device) ||
        !str_equal(json_string(m, "role"), role_name(s->role)))
        return error_set(err, EPROTO, "hello.identity", "hello names another device or role than the token");
    if (json_u64(m, "protocol", &protocol) == -EINVAL || protocol < PROTOCOL_VERSION)
        return error_set(err, EPROTO, "hello.protocol",
                         "hello asks for a protocol that this gateway does not speak");
    return 0;
}

static int device_conn_hello(DeviceConn *s, const char *text, size_t len, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;
    const MessageType *type = NULL;
    int r = message_parse(text, len, SENDER_LINK | SENDER_BOX, &m, &type, err);
    if (r < 0)
        return r;
    if (!str_equal(type->name, "hello"))
        return error_set(err, EPROTO, "hello.missing", "the first message is %s, not hello", type->name);
    r = check_hello(s, m, err);
    if (r < 0)
        return r;
    s->agent_version = str_format("%.*s %.*s", AGENT_VERSION_MAX, json_string(m, "program"),
                                  AGENT_VERSION_MAX, json_string(m, "version"));
    r = s->agent_version ? send_welcome(s) : -ENOMEM;
    if (r >= 0)
        r = device_conn_register(s);
    if (r < 0)
        return error_from_errno(err, r, "welcoming the box");
    s->deadline = sd_event_source_disable_unref(s->deadline);
    s->takes_streams = json_bool(m, "streams", false);
    s->up = true;
    s->since = realtime_usec();
    device_conn_log(s, LOG_LEVEL_INFO, NULL, 0, "connected");
    return 0;
}

static void on_text(WsConn *c _unused_, const char *text, size_t len, void *userdata)
{
    DeviceConn *s = userdata;
    if (s->ended)
        return;
    if (s->up) {
        device_conn_message(s, text, len);
        return;
    }
    Error err = {};
    int r = device_conn_hello(s, text, len, &err);
    if (r >= 0) {
        (void) device_conn_streams(s, false);
    } else {
        device_conn_log(s, LOG_LEVEL_NOTICE, &err, r, "refused");
        device_conn_close(s, WS_CLOSE_POLICY, error_id(&err));
    }
    error_done(&err);
}

static void on_binary(WsConn *c _unused_, const uint8_t *data, size_t len, void *userdata)
{
    /* made even for a box that has no business with streams: it gets a proper refusal */
    BoxStreams *streams = device_conn_streams(userdata, true);
    if (streams)
        mux_carrier_on_binary(box_streams_carrier(streams), data, len);
}

static void on_writable(WsConn *c _unused_, void *userdata)
{
    BoxStreams *streams = device_conn_streams(userdata, false);
    if (streams)
        mux_carrier_on_writable(box_streams_carrier(streams));
}

static void on_closed(WsConn *c _unused_, uint16_t code, const Error *err, void *userdata)
{
    DeviceConn *s = userdata;
    const LogField fields[] = { { "DEVICE", s->device }, { "ROLE", role_name(s->role) }, {} };
    log_line(LOG_LEVEL_INFO, fields, "%s of %s: connection closed with %u%s%s", role_name(s->role), s->device,
             code, err && err->message ? ": " : "", err && err->message ? err->message : "");
    if (s->up && !s->ended && s->role == ROLE_MGMT) {
        if (s->unsaved_status)
            device_conn_save_status(s);
        else
            device_conn_save_last_seen(s);
    }
    session_withdraw(s);
    device_conn_free(s);
}

static const WsEvents ws_events = {
    .on_text = on_text,
    .on_binary = on_binary,
    .on_closed = on_closed,
    .on_writable = on_writable,
};

static DeviceConn *device_conn_new(Gateway *g, Role role, const char *device, const char *token)
{
    DeviceConn *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->gateway = g;
    s->role = role;
    s->number = ++g->next_connection;
    s->device = strdup(device);
    char key[CONNECTION_KEY_SIZE];
    connection_key(key, s->number);
    if (!s->device || (token && jwt_hash(token, s->token_hash) < 0) || map_put(g->connections, key, s) < 0 ||
        timer_arm(g->event, &s->deadline, HELLO_DEADLINE, on_hello_deadline, s) < 0)
        return device_conn_free(s);
    return s;
}

/* Everything up to the upgrade; on failure nothing was answered yet. */
static int device_conn_admit(Gateway *g, HttpExchange *x, Role role, Error *err)
{
    const char *token = auth_bearer(x);
    _cleanup_(jwt_claims_done) JwtClaims claims = {};
    if (!ws_is_wanted(x))
        return error_set(err, EINVAL, "ws.not-an-upgrade",
                         "this is a tunnel: it takes WebSocket upgrades only");
    if (!token && role == ROLE_RECOVERY)
        return challenge_accept(g, x, err);
    if (!token)
        return error_set(err, EKEYREJECTED, "jwt.missing", "a tunnel needs \"Authorization: Bearer TOKEN\"");
    int r = auth_check_tunnel(g, token, role, &claims, err);
    if (r < 0)
        return r;
    DeviceConn *s = device_conn_new(g, role, claims.subject, token);
    if (!s)
        return error_from_errno(err, -ENOMEM, "accepting a tunnel");
    r = ws_accept(x, TUNNEL_SUBPROTOCOL, &s->ws, err);
    if (r < 0) {
        device_conn_free(s);
        return r == -ENOMEM ? r : -EINVAL;
    }
    ws_conn_set_events(s->ws, &ws_events, s);
    ws_conn_set_keepalive(s->ws, KEEPALIVE_INTERVAL, KEEPALIVE_DEAD);
    admission_take(g); /* not before: whoever has no token for a tunnel takes no place from those who have */
    return 0;
}

int device_conn_adopt(Gateway *g, Role role, const char *device, WsConn *ws, const char *hello, size_t len, Error *err)
{
    DeviceConn *s = device_conn_new(g, role, device, NULL);
    if (!s)
        return error_from_errno(err, -ENOMEM, "accepting a tunnel");
    s->ws = ws;
    int r = device_conn_hello(s, hello, len, err);
    if (r < 0) {
        s->ws = NULL;
        session_withdraw(s);
        device_conn_free(s);
        return r;
    }
    ws_conn_set_message_max(ws, WS_MESSAGE_MAX);
    ws_conn_set_events(ws, &ws_events, s);
    ws_conn_set_keepalive(ws, KEEPALIVE_INTERVAL, KEEPALIVE_DEAD);
    admission_take(g);
    (void) device_conn_streams(s, false);
    return 0;
}

void device_conn_accept(Gateway *g, HttpExchange *x, Role role)
{
    Error err = {};
    unsigned retry_after = 0;
    int r = admission_check(g, &retry_after, &err);
    if (r < 0) {
        log_debug("a %s tunnel from %s has to come back in %u s", role_name(role), http_peer(x), retry_after);
        exchange_fail_busy(x, retry_after, &err);
        error_done(&err);
        return;
    }
    r = device_conn_admit(g, x, role, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_NOTICE, NULL, &err, r, "a %s tunnel from %s is refused", role_name(role),
                    http_peer(x));
        exchange_fail(x, http_status_for(r), r, &err);
    }
    error_done(&err);
}

int device_conn_describe(const Gateway *g, const char *device, cJSON *object)
{
    char since[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *roles = cJSON_CreateArray();
    if (!roles)
        return -ENOMEM;
    for (Role i = 0; i < _ROLE_COUNT; i++)
        if (device_conn_find(g, device, i) && json_append(roles, cJSON_CreateString(role_name(i))) < 0)
            return -ENOMEM;
    const DeviceConn *s = device_conn_find(g, device, ROLE_MGMT);
    int r = json_add_bool(object, "connected", s != NULL);
    if (r >= 0)
        r = json_add_item(object, "roles", TAKE_PTR(roles));
    if (r >= 0 && s)
        r = json_add_string(object, "connectedSince", timestamp_format(s->since, since));
    if (r >= 0 && s)
        r = json_add_string(object, "peer", ws_conn_peer(s->ws));
    if (r >= 0)
        r = recovery_describe(g, device, object);
    if (r >= 0 && s && !cJSON_HasObjectItem(object, "agentVersion"))
        r = json_add_string(object, "agentVersion", s->agent_version);
    return r;
}

void device_conn_close_role(Gateway *g, const char *device, Role role, uint16_t code, const char *reason)
{
    DeviceConn *s = device_conn_find(g, device, role);
    if (s)
        device_conn_close(s, code, reason);
}

void device_conn_close_key(Gateway *g, const char *device, Role role)
{
    /* whoever comes by the new key has no part in what the old one carried */
    support_sessions_end_way(g, device, role, "device.key-replaced", "the box has a new key");
    device_conn_close_role(g, device, role, WS_CLOSE_POLICY, "the key of this device was replaced");
}

void device_conn_close_device(Gateway *g, const char *device)
{
    void *value;
    support_sessions_end_device(g, device, "device.blocked", "the box was blocked");
    for (size_t i = 0; map_next(g->connections, &i, NULL, &value);) {
        DeviceConn *s = value;
        if (str_equal(s->device, device))
            device_conn_close(s, WS_CLOSE_POLICY, "the device is blocked");
    }
}

void device_conn_farewell(Gateway *g)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("goaway");
    bool good = m && json_add_string(m, "reason", "restart") >= 0 &&
                json_add_int(m, "retryAfterSeconds", 1) >= 0 &&
                json_add_int(m, "spreadSeconds", admission_spread(g, map_size(g->connections))) >= 0;
    void *value;
    for (size_t i = 0; map_next(g->connections, &i, NULL, &value);) {
        DeviceConn *s = value;
        if (good && s->up && device_conn_send(s, m) < 0)
            log_debug("no goaway for %s: its queue is full", s->device);
        ws_conn_close(s->ws, WS_CLOSE_RESTART, "restart");
    }
}
