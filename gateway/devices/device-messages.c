/* SPDX-License-Identifier: MIT */
/* Which message goes where, and what of it is kept. */
#include "gateway/devices/device-messages.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/devices/device-connection-impl.h"
#include "gateway/devices/service-alarms.h"
#include "gateway/store/devices-table.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

/* a box that sends nonsense this often is closed */
#define BAD_MESSAGES_MAX 16
/* far above any real version, and far enough below PostgreSQL's bigint that adding one cannot overflow it */
#define VERSION_MAX (UINT64_C(1) << 62)

/* Writes the newest status; nothing waits for it, and a newer one replaces it. */
static void save_status(DeviceConn *s)
{
    if (!s->unsaved_status || store_is_busy(s->conns->store))
        return;
    Error err = {};
    int r = store_query(s->conns->store, sql_device_status(s->device, s->unsaved_status, s->agent_version), NULL, NULL,
                        NULL, &err);
    if (r < 0)
        log_debug("status of %s waits: %s", s->device, error_message(&err, r));
    else
        s->unsaved_status = (free(s->unsaved_status), NULL);
    error_done(&err);
}

static void save_last_seen(const DeviceConn *s)
{
    if (store_is_busy(s->conns->store))
        return;
    Error err = {};
    if (store_query(s->conns->store, sql_device_seen(s->device), NULL, NULL, NULL, &err) < 0)
        log_debug("last sight of %s is not recorded: %s", s->device, error_message(&err, -ENOBUFS));
    error_done(&err);
}

void device_conn_save_last_word(DeviceConn *s)
{
    if (s->unsaved_status)
        save_status(s);
    else
        save_last_seen(s);
}

void device_conns_sweep(DeviceConns *cs)
{
    void *value;
    for (size_t i = 0; map_next(cs->connections, &i, NULL, &value);)
        save_status(value);
}

static void send_auth_error(DeviceConn *s, int r, const Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("auth.error");
    if (!m || json_add_item(m, "error", json_from_error(err, r)) < 0 || device_conn_send(s, m) < 0)
        device_conn_log(s, LOG_LEVEL_WARNING, err, r, "cannot tell the box that its refresh failed");
}

static void on_refresh(DeviceConn *s, const cJSON *message, void *userdata _unused_)
{
    _cleanup_(secret_freep) char *fresh = NULL;
    uint64_t expires = 0;
    char until[TIMESTAMP_SIZE];
    Error err = {};
    int r = s->token_hash[0] == '\0'
                ? error_set(&err, EINVAL, "refresh.no-token", "this tunnel has no token to refresh")
                : device_token_renew(s->conns->tokens, s->device, s->role, s->token_hash, json_string(message, "proof"),
                                     &fresh, &expires, &err);
    if (r < 0) {
        device_conn_log(s, LOG_LEVEL_NOTICE, &err, r, "refresh refused");
        send_auth_error(s, r, &err);
        error_done(&err);
        return;
    }
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("auth.token");
    if (!m || json_add_string(m, "token", fresh) < 0 ||
        json_add_string(m, "expiresAt", timestamp_format(expires * USEC_PER_SEC, until)) < 0 ||
        device_conn_send(s, m) < 0 || jwt_hash(fresh, s->token_hash) < 0)
        return; /* the box asks again, or over HTTP */
}

static void raise_floor(DeviceConn *s, const cJSON *object, const char *key)
{
    uint64_t version = 0;
    if (object && json_u64(object, key, &version) >= 0 && version <= VERSION_MAX && version > s->version_floor)
        s->version_floor = version;
}

/* An entry that was not written is written with the next report, of whatever box. */
static void on_services_told(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    DeviceConns *cs = userdata;
    audit_written_once(r, rows, err);
    cs->services_lost += r < 0;
}

/* Most reports say the same of them as the one before. */
static void note_services(DeviceConn *s, const cJSON *message)
{
    const cJSON *services = cJSON_GetObjectItemCaseSensitive(message, "services");
    char *text = cJSON_IsArray(services) ? json_print(services) : NULL;
    bool known = str_equal(text, s->services) && s->services_lost == s->conns->services_lost;
    if (!text || known || service_alarms_take(s->conns->store, s->device, message, on_services_told, s->conns) < 0) {
        free(text);
        return;
    }
    s->services_lost = s->conns->services_lost;
    free(s->services);
    s->services = text;
}

static void on_status(DeviceConn *s, const cJSON *message, void *userdata _unused_)
{
    static const char *const parts[] = { "current", "pending", "last" };
    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        raise_floor(s, cJSON_GetObjectItemCaseSensitive(message, parts[i]), "version");
    const cJSON *project;
    cJSON_ArrayForEach(project, cJSON_GetObjectItemCaseSensitive(message, "projects"))
        raise_floor(s, project, "floor");
    char *text = json_print(message);
    if (text) {
        free(s->unsaved_status);
        s->unsaved_status = text;
        save_status(s);
    }
    s->orders = agent_orders_read(message);
    note_services(s, message);
}

static const DeviceMessage own_messages[] = {
    { "auth.refresh", false, on_refresh },
    { "agent.status", true, on_status },
    {},
};

/* A status names its box; one of another box is ignored. */
static bool is_of_this_box(const DeviceConn *s, const char *type, const cJSON *m)
{
    return !str_equal(type, "agent.status") || str_equal(json_string(m, "deviceId"), s->device);
}

static void pass_on(DeviceConn *s, const DeviceMessage *table, const char *type, const cJSON *m, void *userdata)
{
    for (const DeviceMessage *i = table; i && i->type; i++)
        if (str_equal(i->type, type) && (s->role == ROLE_MGMT || !i->mgmt_only))
            i->handle(s, m, userdata);
}

void device_conn_message(DeviceConn *s, const char *text, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;
    const MessageType *type = NULL;
    Error err = {};
    unsigned senders = s->role == ROLE_MGMT ? SENDER_AGENT | SENDER_LINK : SENDER_BOX;
    int r = message_parse(text, len, senders, &m, &type, &err);
    if (r >= 0 && is_of_this_box(s, type->name, m)) {
        bool parting = s->parting; /* the first who has heard enough closes it */
        pass_on(s, parting ? NULL : own_messages, type->name, m, NULL);
        for (size_t i = 0; i < s->conns->n_listeners; i++) {
            const DeviceListener *l = s->conns->listeners[i].table;
            pass_on(s, parting ? l->last_words : l->messages, type->name, m, s->conns->listeners[i].userdata);
        }
    } else if (r < 0 && r != -ENOMSG) {
        /* dropping one bad message is better than cutting the box off for it */
        device_conn_log(s, LOG_LEVEL_WARNING, &err, r, "a message is ignored");
        if (++s->bad_messages >= BAD_MESSAGES_MAX)
            device_conn_close(s, WS_CLOSE_POLICY, "too many bad messages");
    }
    error_done(&err);
}
