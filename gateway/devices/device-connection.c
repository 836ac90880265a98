/* SPDX-License-Identifier: MIT */
/* One connection for each tunnel; the newest of a box's role is the one that counts. */
#include "gateway/devices/device-connection-impl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"

#define BLOCKED "the device is blocked"
/* A box that has been taken is not waited for: others answer within a round trip and a write to their disk. */
#define PARTING_MAX (5 * USEC_PER_SEC)

static int tunnel_key(char **ret, const char *device, Role role)
{
    *ret = str_format("%s/%s", device, role_name(role));
    return *ret ? 0 : -ENOMEM;
}

void device_conn_key(char buf[static CONNECTION_KEY_SIZE], uint64_t number)
{
    snprintf(buf, CONNECTION_KEY_SIZE, "c-%" PRIx64, number);
}

/* Made anew when it is wanted: 20,000 connections would keep one each. */
char *device_conn_nonce(const DeviceConn *s)
{
    uint8_t digest[SHA256_SIZE];
    if (hmac_sha256(s->conns->nonce_secret, sizeof(s->conns->nonce_secret), &s->number, sizeof(s->number), digest) < 0)
        return NULL;
    return base64url_encode(digest, sizeof(digest));
}

DeviceConns *device_conns_new(sd_event *event, Store *store, const DeviceTokens *tokens)
{
    DeviceConns *cs = calloc(1, sizeof(*cs));
    if (!cs)
        return NULL;
    *cs = (DeviceConns) { .event = event, .store = store, .tokens = tokens };
    random_bytes(cs->nonce_secret, sizeof(cs->nonce_secret));
    cs->connections = map_new(NULL);
    cs->tunnels = map_new(NULL);
    cs->streams = map_new(box_streams_free);
    return cs->connections && cs->tunnels && cs->streams ? cs : device_conns_free(cs);
}

DeviceConns *device_conns_free(DeviceConns *cs)
{
    void *value;
    if (!cs)
        return NULL;
    for (size_t i = 0; cs->connections && map_next(cs->connections, &i, NULL, &value);)
        device_conn_free(value);
    map_free(cs->connections);
    map_free(cs->streams);
    map_free(cs->tunnels);
    free(cs->listeners);
    free(cs);
    return NULL;
}

int device_conns_listen(DeviceConns *cs, const DeviceListener *listener, void *userdata)
{
    struct DeviceListening *more = reallocarray(cs->listeners, cs->n_listeners + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    cs->listeners = more;
    cs->listeners[cs->n_listeners++] = (struct DeviceListening) { .table = listener, .userdata = userdata };
    return 0;
}

DeviceConn *device_conn_find(const DeviceConns *cs, const char *device, Role role)
{
    _cleanup_(freep) char *key = NULL;
    return tunnel_key(&key, device, role) < 0 ? NULL : map_get(cs->tunnels, key);
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
    return s->orders.spoke;
}

bool device_conn_takes(const DeviceConn *s, AgentOrder order)
{
    return s->orders.takes[order];
}

int device_conn_check_takes(const DeviceConn *s, AgentOrder order, Error *err)
{
    return agent_orders_check(&s->orders, order, s->device, err);
}

uint64_t device_conn_halted_told(const DeviceConn *s)
{
    return s->halted_told;
}

void device_conn_note_halted_told(DeviceConn *s, uint64_t edition)
{
    s->halted_told = edition;
}

void device_conns_each(const DeviceConns *cs, void (*visit)(DeviceConn *s, void *userdata), void *userdata)
{
    void *value;
    for (size_t i = 0; map_next(cs->tunnels, &i, NULL, &value);)
        visit(value, userdata);
}

int device_conn_send(DeviceConn *s, const cJSON *message)
{
    _cleanup_(freep) char *text = message ? json_print(message) : NULL;
    return text ? ws_conn_send_text(s->ws, text, strlen(text)) : -ENOMEM;
}

int device_conn_send_text(DeviceConn *s, const char *text)
{
    return ws_conn_send_text(s->ws, text, strlen(text));
}

void device_conn_log(const DeviceConn *s, LogLevel level, const Error *err, int r, const char *what)
{
    const LogField fields[] = { { "DEVICE", s->device }, { "ROLE", role_name(s->role) }, {} };
    if (r < 0)
        log_failure(level, fields, err, r, "%s of %s from %s: %s", role_name(s->role), s->device, ws_conn_peer(s->ws),
                    what);
    else
        log_line(level, fields, "%s of %s from %s: %s", role_name(s->role), s->device, ws_conn_peer(s->ws), what);
}

void device_conn_withdraw(DeviceConn *s)
{
    DeviceConns *cs = s->conns;
    if (!s->up || s->ended)
        return;
    s->ended = true;
    BoxStreams *streams = TAKE_PTR(s->streams);
    if (streams)
        box_streams_detach(streams);
    _cleanup_(freep) char *key = NULL;
    if (tunnel_key(&key, s->device, s->role) >= 0 && map_get(cs->tunnels, key) == s)
        map_take(cs->tunnels, key);
    for (size_t i = 0; i < cs->n_listeners; i++)
        if (cs->listeners[i].table->on_gone)
            cs->listeners[i].table->on_gone(s, cs->listeners[i].userdata);
}

DeviceConn *device_conn_new(DeviceConns *cs, Role role, const char *device)
{
    char key[CONNECTION_KEY_SIZE];
    DeviceConn *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->conns = cs;
    s->role = role;
    s->number = ++cs->next;
    s->device = strdup(device);
    device_conn_key(key, s->number);
    if (!s->device || map_put(cs->connections, key, s) < 0)
        return device_conn_free(s);
    return s;
}

DeviceConn *device_conn_free(DeviceConn *s)
{
    if (!s)
        return NULL;
    char key[CONNECTION_KEY_SIZE];
    device_conn_key(key, s->number);
    map_take(s->conns->connections, key);
    s->conns->parting -= s->parting;
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
    device_conn_withdraw(s);
    s->ended = true;
    ws_conn_close(s->ws, code, reason);
}

int device_conn_register(DeviceConn *s)
{
    _cleanup_(freep) char *key = NULL;
    int r = tunnel_key(&key, s->device, s->role);
    if (r < 0)
        return r;
    DeviceConn *older = map_get(s->conns->tunnels, key);
    if (older) {
        device_conn_log(older, LOG_LEVEL_INFO, NULL, 0, "replaced by a newer connection");
        device_conn_close(older, WS_CLOSE_GOING_AWAY, "replaced by a newer connection");
    }
    return map_put(s->conns->tunnels, key, s);
}

BoxStreams *device_conn_streams(DeviceConn *s, bool make)
{
    DeviceConns *cs = s->conns;
    _cleanup_(freep) char *key = NULL;
    if (s->streams || !s->up || s->ended || tunnel_key(&key, s->device, s->role) < 0)
        return s->streams;
    s->streams = make ? box_streams_make(cs->streams, cs->event, key) : map_get(cs->streams, key);
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

int device_offline_error(const char *device, Error *err)
{
    return error_set(err, ENOTCONN, "device.offline",
                     "device %s is not connected: look at its power and its line, then try again", device);
}

int device_conns_describe(const DeviceConns *cs, const char *device, cJSON *object)
{
    char since[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *roles = cJSON_CreateArray();
    if (!roles)
        return -ENOMEM;
    for (Role i = 0; i < _ROLE_COUNT; i++)
        if (device_conn_find(cs, device, i) && json_append(roles, cJSON_CreateString(role_name(i))) < 0)
            return -ENOMEM;
    const DeviceConn *s = device_conn_find(cs, device, ROLE_MGMT);
    int r = json_add_bool(object, "connected", s != NULL);
    if (r >= 0)
        r = json_add_item(object, "roles", TAKE_PTR(roles));
    if (r >= 0 && s)
        r = json_add_string(object, "connectedSince", timestamp_format(s->since, since));
    if (r >= 0 && s)
        r = json_add_string(object, "peer", ws_conn_peer(s->ws));
    for (size_t i = 0; i < cs->n_listeners && r >= 0; i++)
        if (cs->listeners[i].table->describe)
            r = cs->listeners[i].table->describe(device, object, cs->listeners[i].userdata);
    if (r >= 0 && s && !cJSON_HasObjectItem(object, "agentVersion"))
        r = json_add_string(object, "agentVersion", s->agent_version);
    return r;
}

size_t device_conns_people(const DeviceConns *cs, const char *device)
{
    size_t n = 0;
    for (size_t i = 0; i < cs->n_listeners; i++)
        if (cs->listeners[i].table->people)
            n += cs->listeners[i].table->people(device, cs->listeners[i].userdata);
    return n;
}

void device_conns_close(DeviceConns *cs, const char *device, Role role, uint16_t code, const char *reason)
{
    DeviceConn *s = device_conn_find(cs, device, role);
    if (s)
        device_conn_close(s, code, reason);
}

void device_conns_replace_key(DeviceConns *cs, const char *device, Role role)
{
    for (size_t i = 0; i < cs->n_listeners; i++)
        if (cs->listeners[i].table->on_key_replaced)
            cs->listeners[i].table->on_key_replaced(device, role, cs->listeners[i].userdata);
    device_conns_close(cs, device, role, WS_CLOSE_POLICY, "the key of this device was replaced");
}

static void close_all(DeviceConns *cs, const char *device, bool parting, const char *reason)
{
    void *value;
    for (size_t i = 0; map_next(cs->connections, &i, NULL, &value);) {
        DeviceConn *s = value;
        if (!str_equal(s->device, device))
            continue;
        if (!s->parting)
            device_conn_close(s, WS_CLOSE_POLICY, reason);
        else if (parting)
            device_conn_part(s);
    }
}

bool device_conn_is_parting(const DeviceConn *s)
{
    return s->parting;
}

void device_conn_part(DeviceConn *s)
{
    if (!s->parting)
        return;
    s->parting = false;
    s->conns->parting--;
    timer_disarm(s->deadline);
    device_conn_close(s, WS_CLOSE_POLICY, BLOCKED);
}

static int on_parting_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    device_conn_log(userdata, LOG_LEVEL_NOTICE, NULL, 0,
                    "blocked, and has not said that it has heard what it was told last");
    device_conn_part(userdata);
    return 0;
}

static bool is_kept(DeviceConns *cs, DeviceConn *s)
{
    bool kept = false;
    for (size_t i = 0; i < cs->n_listeners; i++)
        if (cs->listeners[i].table->keeps)
            kept = cs->listeners[i].table->keeps(s, cs->listeners[i].userdata) || kept;
    return kept;
}

static void begin_to_part(DeviceConns *cs, const char *device)
{
    for (Role role = 0; role < _ROLE_COUNT; role++) {
        DeviceConn *s = device_conn_find(cs, device, role);
        if (!s || !is_kept(cs, s) || timer_arm(cs->event, &s->deadline, PARTING_MAX, on_parting_time, s) < 0)
            continue;
        device_conn_withdraw(s);
        s->parting = true;
        cs->parting++;
    }
}

void device_conns_each_parting(const DeviceConns *cs, void (*visit)(DeviceConn *s, void *userdata), void *userdata)
{
    void *value;
    for (size_t i = 0; cs->parting > 0 && map_next(cs->connections, &i, NULL, &value);)
        if (((DeviceConn *) value)->parting)
            visit(value, userdata);
}

void device_conns_block(DeviceConns *cs, const char *device)
{
    for (size_t i = 0; i < cs->n_listeners; i++)
        if (cs->listeners[i].table->on_blocked)
            cs->listeners[i].table->on_blocked(device, cs->listeners[i].userdata);
    begin_to_part(cs, device);
    close_all(cs, device, false, BLOCKED);
}

void device_conns_remove(DeviceConns *cs, const char *device)
{
    for (size_t i = 0; i < cs->n_listeners; i++)
        if (cs->listeners[i].table->on_removed)
            cs->listeners[i].table->on_removed(device, cs->listeners[i].userdata);
    close_all(cs, device, true, "the device was removed");
}

void device_conns_relabel(DeviceConns *cs, const char *device)
{
    for (size_t i = 0; i < cs->n_listeners; i++)
        if (cs->listeners[i].table->on_relabelled)
            cs->listeners[i].table->on_relabelled(device, cs->listeners[i].userdata);
}

bool device_conns_is_busy(const DeviceConns *cs, const char *device)
{
    bool busy = false;
    for (size_t i = 0; i < cs->n_listeners && !busy; i++)
        busy = cs->listeners[i].table->is_busy && cs->listeners[i].table->is_busy(device, cs->listeners[i].userdata);
    return busy;
}
