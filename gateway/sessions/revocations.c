/* SPDX-License-Identifier: MIT */
#include "gateway/sessions/revocations.h"

#include <errno.h>
#include <inttypes.h>

#include "gateway/auth/audit.h"
#include "gateway/store/grants-table.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

/* A box that does not take what it was sent is not sent it all the time. */
#define SEND_AGAIN (30 * USEC_PER_SEC)

/* What a box must not take any more. */
typedef struct List {
    uint64_t version;
    cJSON *ids;
} List;

/* What was sent over one of its tunnels. */
typedef struct Sent {
    uint64_t connection, version;
    usec_t at;
    uint64_t has; /* what it has said last that it has */
    bool ahead;   /* it has said that it has a newer one */
} Sent;

struct Revocations {
    Store *store;
    DeviceConns *conns;
    Map *lists; /* device → List */
    Map *sent;  /* device/role → Sent */
    StoreQuery *query;
    bool again;
};

static void list_free(void *list)
{
    List *l = list;

    cJSON_Delete(l->ids);
    free(l);
}

/* Of what was sent over the tunnel of this role. */
static char *key_of(const char *device, Role role)
{
    return str_format("%s/%s", device, role == ROLE_RECOVERY ? "recovery" : "mgmt");
}

/* Of this tunnel; NULL when out of memory. */
static Sent *sent_over(Revocations *rs, const DeviceConn *s)
{
    _cleanup_(freep) char *key = key_of(device_conn_device(s), device_conn_role(s));
    Sent *sent = key ? map_get(rs->sent, key) : NULL;

    if (key && !sent) {
        sent = calloc(1, sizeof(*sent));
        if (sent && map_put(rs->sent, key, sent) < 0) {
            free(sent);
            sent = NULL;
        }
    }
    if (sent && sent->connection != device_conn_number(s))
        *sent = (Sent) { .connection = device_conn_number(s) };
    return sent;
}

static int send_list(DeviceConn *s, const List *l)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("ssh.revocations");

    if (!m || json_add_u64(m, "version", l->version) < 0 ||
        json_add_item(m, "keyIds", cJSON_Duplicate(l->ids, true)) < 0)
        return -ENOMEM;
    return device_conn_send(s, m);
}

/* The box has taken a list that this database knows nothing of: it was put back to an older state. The box keeps what it has until
 * there is a newer one. */
static void note_ahead(const Revocations *rs, const DeviceConn *s, Sent *sent, uint64_t has, uint64_t ours)
{
    _cleanup_(freep) char *actor = str_format("device:%s", device_conn_device(s));
    cJSON *detail = cJSON_CreateObject();

    if (sent->ahead)
        return;
    sent->ahead = true;
    if (detail && (json_add_u64(detail, "version", ours) < 0 || json_add_u64(detail, "boxVersion", has) < 0))
        detail = (cJSON_Delete(detail), NULL);
    audit_write(rs->store, &(AuditEntry) { .actor = actor ? actor : "device",
                                           .action = "revocations.behind",
                                           .device = device_conn_device(s),
                                           .alarm = true,
                                           .detail = detail });
}

/* Over the tunnel of a box that was blocked, which waits for that: it has all that there is for it, or is sent it. */
static void settle(DeviceConn *s, void *userdata)
{
    Revocations *rs = userdata;
    const List *l = map_get(rs->lists, device_conn_device(s));
    Sent *sent = sent_over(rs, s);

    if (rs->query) /* then it comes again */
        return;
    if (!sent || !l || sent->has >= l->version) {
        device_conn_part(s);
    } else if (sent->version != l->version) {
        sent->version = l->version;
        if (send_list(s, l) < 0)
            device_conn_part(s);
    }
}

/* One that does not know of such lists has not said anything of them. */
static bool keeps(DeviceConn *s, void *userdata)
{
    const Revocations *rs = userdata;
    _cleanup_(freep) char *key = key_of(device_conn_device(s), device_conn_role(s));
    const Sent *sent = key && device_conn_role(s) != ROLE_DEVICE ? map_get(rs->sent, key) : NULL;

    return sent && sent->connection == device_conn_number(s);
}

/* A program of an earlier time, which would not know the message, does not say which edition it has. */
static void on_status(DeviceConn *s, const cJSON *status, void *userdata)
{
    Revocations *rs = userdata;
    const List *l = map_get(rs->lists, device_conn_device(s));
    uint64_t has = 0;

    if (json_u64(status, "sshRevocations", &has) < 0)
        return;
    Sent *sent = sent_over(rs, s);
    if (!sent)
        return;
    sent->has = has;
    if (device_conn_is_parting(s)) {
        settle(s, rs);
    } else if (l && has < l->version) {
        if (sent->version == l->version && sent->at + SEND_AGAIN > boottime_usec())
            return;
        sent->version = l->version;
        sent->at = boottime_usec();
        int r = send_list(s, l);
        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, NULL, r, "%s is told later which ssh certificates are revoked",
                        device_conn_device(s));
    } else if (has > (l ? l->version : 0)) {
        note_ahead(rs, s, sent, has, l ? l->version : 0);
    }
}

static void on_recovery_status(DeviceConn *s, const cJSON *status, void *userdata)
{
    if (device_conn_role(s) == ROLE_RECOVERY)
        on_status(s, status, userdata);
}

/* Over a tunnel whose box has said that it knows such a list. */
static void tell(const Revocations *rs, const char *device, Role role, const List *l)
{
    _cleanup_(freep) char *key = key_of(device, role);
    DeviceConn *s = device_conn_find(rs->conns, device, role);
    Sent *sent = key ? map_get(rs->sent, key) : NULL;

    if (!s || !sent || sent->connection != device_conn_number(s))
        return;
    sent->version = l->version;
    sent->at = boottime_usec();
    if (send_list(s, l) < 0)
        sent->version = 0; /* when it speaks next */
}

int revocations_adopt(Revocations *rs, const StoreRows *rows)
{
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        const char *device = store_rows_get(rows, i, 0), *ids = store_rows_get(rows, i, 2);
        List *l = calloc(1, sizeof(*l));
        int r = l ? store_rows_u64(rows, i, 1, INT64_MAX, &l->version) : -ENOMEM;

        if (r >= 0 && !(l->ids = cJSON_Parse(ids ? ids : "[]")))
            r = -ENOMEM;
        if (r >= 0)
            r = map_put(rs->lists, device, l);
        if (r < 0) {
            if (l)
                list_free(l);
            return r;
        }
        tell(rs, device, ROLE_MGMT, l);
        tell(rs, device, ROLE_RECOVERY, l);
    }
    return 0;
}

static void on_found(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Revocations *rs = userdata;

    rs->query = NULL;
    if (r >= 0)
        r = revocations_adopt(rs, rows);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "which ssh certificates are revoked is not known yet");
    if (rs->again)
        revocations_sweep(rs);
    else if (r >= 0)
        device_conns_each_parting(rs->conns, settle, rs);
}

void revocations_sweep(Revocations *rs)
{
    rs->again = rs->query != NULL;
    if (!rs->query && store_query(rs->store, sql_revocations(), on_found, rs, &rs->query, NULL) < 0)
        log_debug("revoked certificates are looked for later");
}

/* Blocked: what it has to hear before its tunnels are closed. Relabelled: certificates of tokens that are not for it any more. */
static void look_now(const char *device _unused_, void *userdata)
{
    revocations_sweep(userdata);
}

static void on_removed(const char *device, void *userdata)
{
    static const Role roles[] = { ROLE_MGMT, ROLE_RECOVERY };
    const Revocations *rs = userdata;

    map_remove(rs->lists, device);
    for (size_t i = 0; i < ELEMENTSOF(roles); i++) {
        _cleanup_(freep) char *key = key_of(device, roles[i]);

        if (key)
            map_remove(rs->sent, key);
    }
}

Revocations *revocations_new(Store *store, DeviceConns *conns)
{
    static const DeviceMessage messages[] = {
        { "agent.status", true, on_status },
        { "recovery.status", false, on_recovery_status },
        {},
    };
    static const DeviceListener listener = {
        .messages = messages,
        .last_words = messages,
        .on_blocked = look_now,
        .on_relabelled = look_now,
        .keeps = keeps,
        .on_removed = on_removed,
    };
    Revocations *rs = calloc(1, sizeof(*rs));

    if (!rs)
        return NULL;
    *rs = (Revocations) { .store = store, .conns = conns, .lists = map_new(list_free), .sent = map_new(free) };
    if (!rs->lists || !rs->sent || device_conns_listen(conns, &listener, rs) < 0)
        return revocations_free(rs);
    return rs;
}

Revocations *revocations_free(Revocations *rs)
{
    if (!rs)
        return NULL;
    store_query_free(rs->query);
    map_free(rs->lists);
    map_free(rs->sent);
    free(rs);
    return NULL;
}
