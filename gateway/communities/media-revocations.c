/* SPDX-License-Identifier: MIT */
/* The list is read as a whole each time: it is short, and a box that has heard some of it twice has lost nothing. */
#include "gateway/communities/media-revocations.h"

#include <errno.h>

#include "gateway/store/media-table.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/jwt.h"
#include "lib/tunnel/message.h"

/* How many ids one message has: a small one. */
#define OF_MESSAGE_MAX 512

/* What a box was told, and on which connection. */
typedef struct Told {
    uint64_t connection;
    char *ids;
} Told;

struct MediaRevocations {
    Store *store;
    const DeviceConns *conns;
    const DeviceRegistry *registry;
    StoreQuery *query;
    bool again; /* there is news since it was asked */
    Map *told;  /* device → Told */
};

static void told_free(void *told)
{
    Told *t = told;

    free(t->ids);
    free(t);
}

MediaRevocations *media_revocations_new(Store *store, const DeviceConns *conns, const DeviceRegistry *registry)
{
    MediaRevocations *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    *m = (MediaRevocations) { .store = store, .conns = conns, .registry = registry, .told = map_new(told_free) };
    return m->told ? m : media_revocations_free(m);
}

MediaRevocations *media_revocations_free(MediaRevocations *m)
{
    if (!m)
        return NULL;
    store_query_free(m->query);
    map_free(m->told);
    free(m);
    return NULL;
}

static int send_some(DeviceConn *conn, char *const *ids, size_t n)
{
    _cleanup_(cJSON_Deletep) cJSON *message = message_new("media.revoke");
    cJSON *tokens = cJSON_CreateArray();
    int r = json_add_item(message, "tokens", tokens);

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = json_append(tokens, cJSON_CreateString(ids[i]));
    return r < 0 ? r : device_conn_send(conn, message);
}

static int send_all(DeviceConn *conn, char *const *ids)
{
    size_t len = strv_length(ids);
    int r = 0;

    for (size_t at = 0; r >= 0 && at < len; at += OF_MESSAGE_MAX)
        r = send_some(conn, ids + at, len - at < OF_MESSAGE_MAX ? len - at : OF_MESSAGE_MAX);
    return r;
}

/* Takes `text`. */
static void note(const MediaRevocations *m, const char *device, uint64_t connection, char *text)
{
    Told *t = calloc(1, sizeof(*t));

    if (t)
        *t = (Told) { .connection = connection, .ids = text };
    else
        free(text);
    if (t && map_put(m->told, device, t) < 0)
        told_free(t); /* it is told again */
}

static void tell(const MediaRevocations *m, const char *device, char *const *ids)
{
    DeviceConn *conn = device_conn_find(m->conns, device, ROLE_DEVICE);
    const Told *told = map_get(m->told, device);
    _cleanup_(freep) char *text = conn ? strv_join(ids, ",") : NULL;

    if (!text || (told && told->connection == device_conn_number(conn) && str_equal(told->ids, text)))
        return;
    int r = send_all(conn, ids);
    if (r >= 0)
        note(m, device, device_conn_number(conn), TAKE_PTR(text));
    else
        log_debug("%s is told later which recordings nobody may see any more", device);
}

static void forget_others(const MediaRevocations *m, char *const *devices)
{
    const char *device;

    for (size_t i = 0; map_next(m->told, &i, &device, NULL);)
        if (!strv_contains(devices, device))
            map_remove(m->told, device);
}

static int tell_all(const MediaRevocations *m, const StoreRows *rows)
{
    _cleanup_(strv_freep) char **devices = NULL;
    size_t count = store_rows_count(rows);

    for (size_t i = 0; i < count;) {
        _cleanup_(strv_freep) char **ids = NULL;
        const char *device = store_rows_get(rows, i, 0);
        int r = strv_add(&devices, device);
        for (; r >= 0 && i < count && str_equal(device, store_rows_get(rows, i, 0)); i++)
            r = strv_add(&ids, store_rows_get(rows, i, 1));
        if (r < 0)
            return r;
        tell(m, device, ids);
    }
    forget_others(m, devices);
    return 0;
}

static void on_revoked(StoreQuery *query _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    MediaRevocations *m = userdata;

    m->query = NULL;
    if (r >= 0)
        r = tell_all(m, rows);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "which recordings nobody may see any more is not known");
    if (r >= 0 && m->again)
        media_revocations_sweep(m);
}

void media_revocations_sweep(MediaRevocations *m)
{
    _cleanup_(error_done) Error err = {};

    m->again = m->query;
    if (m->query)
        return;
    int r = store_query(m->store, sql_media_tokens_revoked(), on_revoked, m, &m->query, &err);
    if (r < 0)
        log_debug("which recordings nobody may see any more is asked later: %s", error_message(&err, r));
}

static void on_done(Request *c, const StoreRows *rows)
{
    _cleanup_(error_done) Error err = {};

    if (!store_rows_true(rows, 0, 1)) {
        request_fail(c,
                     error_set(&err, ENOENT, "recording.no-token",
                               "there is no token with this id for a recording of %s: it is over, or for another box",
                               c->args[0]),
                     &err);
        return;
    }
    media_revocations_sweep(c->module);
    request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

static void take_back(Request *c)
{
    const MediaRevocations *m = c->module;
    const cJSON *body = request_parse_body(c);
    _cleanup_(error_done) Error err = {};
    int r = 0;

    if (!body)
        return;
    const char *id = json_string(body, "id");
    if (!device_registry_has_device(m->registry, c->args[0]))
        r = error_set(&err, ENOENT, "device.not-found", "there is no device \"%s\" here", c->args[0]);
    else if (cJSON_GetObjectItemCaseSensitive(body, "id") && !jwt_id_is_valid(id))
        r = error_set(&err, EINVAL, "request.bad-member", "\"id\" must be that of a token for a recording");
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_query(c, sql_media_tokens_revoke(c->args[0], id, c->actor), on_done);
}

const Route media_revocation_routes[] = {
    { "POST", "/v1/devices/*/recordings/revoke", ACCESS_OPERATOR, take_back, "nobody sees by them any more" },
    {},
};
