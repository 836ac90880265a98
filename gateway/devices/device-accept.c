/* SPDX-License-Identifier: MIT */
/* A token is checked before the upgrade. Without one, which only /recovery allows, the key is proved after it (challenger.h). */
#include "gateway/devices/device-accept.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/auth/secrets.h"
#include "gateway/devices/challenger.h"
#include "gateway/devices/clone-alarm.h"
#include "gateway/devices/device-connection-impl.h"
#include "gateway/devices/device-messages.h"
#include "gateway/http/request.h"
#include "gateway/http/tunnel-handshake.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"

#define AGENT_VERSION_MAX 64

struct DeviceAccept {
    DeviceConns *conns;
    DeviceRegistry *registry;
    const DeviceTokens *tokens;
    Admission *admission;
    AuditHead *audit; /* may be NULL */
    Challenger *challenger;
};

bool device_accept_path(const char *path, Role *ret)
{
    return path[0] == '/' && role_parse(path + 1, ret) >= 0;
}

static int say_welcome(const DeviceAccept *a, DeviceConn *s)
{
    char connection[CONNECTION_KEY_SIZE];
    device_conn_key(connection, s->number);
    _cleanup_(freep) char *nonce = s->role == ROLE_MGMT ? device_conn_nonce(s) : NULL;
    const TunnelWelcome w = {
        .device = s->device,
        .connection = connection,
        .spread_seconds = admission_spread(a->admission, device_registry_keys(a->registry)),
        .audit_head = audit_head_get(a->audit),
        .nonce = nonce,
    };
    return tunnel_welcome(s->ws, &w);
}

static int take_hello(const DeviceAccept *a, DeviceConn *s, const char *text, size_t len, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;
    int r = tunnel_read_hello(text, len, SENDER_LINK | SENDER_BOX, s->device, role_name(s->role), &m, err);
    if (r < 0)
        return r;
    s->agent_version = str_format("%.*s %.*s", AGENT_VERSION_MAX, json_string(m, "program"), AGENT_VERSION_MAX,
                                  json_string(m, "version"));
    (void) snprintf(s->boot, sizeof(s->boot), "%s", json_string(m, "bootId"));
    const DeviceConn *older = device_conn_find(a->conns, s->device, s->role);
    if (older && s->role == ROLE_MGMT) /* the other roles' alarms would say the same */
        clone_alarm_compare(s, older);
    r = s->agent_version ? say_welcome(a, s) : -ENOMEM;
    if (r >= 0)
        r = device_conn_register(s);
    if (r < 0)
        return error_from_errno(err, r, "welcoming the box");
    s->deadline = sd_event_source_disable_unref(s->deadline);
    audit_head_compare(a->audit, s->device, json_string(m, "auditHead"));
    s->takes_streams = json_bool(m, "streams", false);
    s->up = true;
    s->since = realtime_usec();
    device_conn_log(s, LOG_LEVEL_INFO, NULL, 0, "connected");
    return 0;
}

static void on_text(WsConn *c _unused_, const char *text, size_t len, void *userdata)
{
    DeviceConn *s = userdata;
    if (s->ended && !s->parting)
        return;
    if (s->up) {
        device_conn_message(s, text, len);
        return;
    }
    Error err = {};
    int r = take_hello(s->accept, s, text, len, &err);
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
    /* made even for a box that should not open streams: it gets a proper refusal */
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
    log_line(LOG_LEVEL_INFO, fields, "%s of %s: connection closed with %u%s%s", role_name(s->role), s->device, code,
             err && err->message ? ": " : "", err && err->message ? err->message : "");
    if (s->up && !s->ended && s->role == ROLE_MGMT)
        device_conn_save_last_word(s);
    device_conn_withdraw(s);
    device_conn_free(s);
}

static const WsEvents ws_events = {
    .on_text = on_text,
    .on_binary = on_binary,
    .on_closed = on_closed,
    .on_writable = on_writable,
};

static int on_hello_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    device_conn_log(userdata, LOG_LEVEL_NOTICE, NULL, 0, "no hello in time, closing");
    device_conn_close(userdata, WS_CLOSE_POLICY, "no hello in time");
    return 0;
}

static DeviceConn *conn_new(DeviceAccept *a, Role role, const char *device)
{
    DeviceConn *s = device_conn_new(a->conns, role, device);
    if (s)
        s->accept = a;
    return s;
}

/* Everything up to the upgrade; on failure nothing was answered yet. */
static int accept_token(DeviceAccept *a, HttpExchange *x, Role role, const char *token, Error *err)
{
    _cleanup_(jwt_claims_done) JwtClaims claims = {};
    int r = device_token_check(a->tokens, token, role, &claims, err);
    if (r < 0)
        return r;
    DeviceConn *s = conn_new(a, role, claims.subject);
    if (!s || jwt_hash(token, s->token_hash) < 0 ||
        timer_arm(s->conns->event, &s->deadline, TUNNEL_HELLO_DEADLINE, on_hello_deadline, s) < 0) {
        device_conn_free(s);
        return error_from_errno(err, -ENOMEM, "accepting a tunnel");
    }
    http_note_known(x);
    r = tunnel_upgrade(x, &ws_events, s, &s->ws, err);
    if (r < 0) {
        device_conn_free(s);
        return r;
    }
    admission_take(a->admission); /* not before: whoever has no token for a tunnel takes no place from those who have */
    return 0;
}

static int admit(DeviceAccept *a, HttpExchange *x, Role role, Error *err)
{
    const char *token = bearer_token(x);
    int r = tunnel_check_upgrade(x, err);
    if (r < 0)
        return r;
    if (token)
        return accept_token(a, x, role, token, err);
    if (role == ROLE_RECOVERY)
        return challenger_accept(a->challenger, x, err);
    return error_set(err, EKEYREJECTED, "jwt.missing", "a tunnel needs \"Authorization: Bearer TOKEN\"");
}

void device_accept(DeviceAccept *a, HttpExchange *x, Role role)
{
    Error err = {};
    unsigned retry_after = 0;
    int r = admission_check(a->admission, &retry_after, &err);
    if (r < 0) {
        log_debug("a %s tunnel from %s has to come back in %u s", role_name(role), http_peer(x), retry_after);
        exchange_fail_busy(x, retry_after, &err);
        error_done(&err);
        return;
    }
    r = admit(a, x, role, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_NOTICE, NULL, &err, r, "a %s tunnel from %s is refused", role_name(role), http_peer(x));
        exchange_fail(x, http_status_for(r), r, &err);
    }
    error_done(&err);
}

/* Makes a connection whose peer has proved its key the box's tunnel. */
static int on_proved(const char *device, WsConn *ws, const char *hello, size_t len, Error *err, void *userdata)
{
    DeviceAccept *a = userdata;
    DeviceConn *s = conn_new(a, ROLE_RECOVERY, device);
    if (!s)
        return error_from_errno(err, -ENOMEM, "accepting a tunnel");
    s->ws = ws;
    int r = take_hello(a, s, hello, len, err);
    if (r < 0) {
        s->ws = NULL;
        device_conn_withdraw(s);
        device_conn_free(s);
        return r;
    }
    ws_conn_set_events(ws, &ws_events, s);
    admission_take(a->admission);
    (void) device_conn_streams(s, false);
    return 0;
}

DeviceAccept *device_accept_new(sd_event *event, const Claims *claims, Admission *admission, AuditHead *audit)
{
    DeviceAccept *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    *a = (DeviceAccept) {
        .conns = claims->conns,
        .registry = claims->registry,
        .tokens = claims->tokens,
        .admission = admission,
        .audit = audit,
        .challenger = challenger_new(event, claims, on_proved, a),
    };
    return a->challenger ? a : device_accept_free(a);
}

DeviceAccept *device_accept_free(DeviceAccept *a)
{
    if (a) {
        challenger_free(a->challenger);
        free(a);
    }
    return NULL;
}

void device_accept_farewell(DeviceAccept *a)
{
    Map *connections = a->conns->connections;
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("goaway");
    bool good = m && json_add_string(m, "reason", "restart") >= 0 && json_add_int(m, "retryAfterSeconds", 1) >= 0 &&
                json_add_int(m, "spreadSeconds", admission_spread(a->admission, map_size(connections))) >= 0;
    void *value;
    for (size_t i = 0; map_next(connections, &i, NULL, &value);) {
        DeviceConn *s = value;
        if (good && s->up && device_conn_send(s, m) < 0)
            log_debug("no goaway for %s: its queue is full", s->device);
        ws_conn_close(s->ws, WS_CLOSE_RESTART, "restart");
    }
}
