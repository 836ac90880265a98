/* SPDX-License-Identifier: MIT */
/* One small record for each box whose recovery-agent has spoken. */
#include "gateway/devices/recovery-reports.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/auth/secrets.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"

#define PROBE_TIMEOUT (3 * USEC_PER_SEC)

typedef enum ProbeState {
    PROBE_OFFLINE,
    PROBE_WAITING,
    PROBE_OK,
} ProbeState;

/* the tunnels that are tried */
static const Role probed[] = { ROLE_DEVICE, ROLE_MGMT };

struct RecoveryReports {
    sd_event *event;
    Store *store;
    DeviceConns *conns;
    Map *boxes; /* device → Recovery, owned */
};

typedef struct Recovery {
    RecoveryReports *owner;
    char *device;
    char *status; /* the last recovery.status without its type */
    usec_t status_at;
    bool was_wedged;
    char *unsigned_account; /* the last session that was told, of a grant signed without its account; or NULL */
    /* the probe under way */
    char *asked;             /* the id in probe.request; NULL = none */
    char id[RANDOM_ID_SIZE]; /* the id in `probe`, which nobody but the tunnels knows */
    uint64_t connection;     /* that it was asked for on */
    ProbeState states[ELEMENTSOF(probed)];
    bool has_probed;
    sd_event_source *deadline;
} Recovery;

static void recovery_free(void *recovery)
{
    Recovery *v = recovery;
    sd_event_source_disable_unref(v->deadline);
    free(v->device);
    free(v->status);
    free(v->unsigned_account);
    free(v->asked);
    free(v);
}

/* The box's record, made when there is none; NULL when out of memory. */
static Recovery *recovery_of(RecoveryReports *rr, const char *device)
{
    Recovery *v = map_get(rr->boxes, device);
    if (v)
        return v;
    v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->owner = rr;
    v->device = strdup(device);
    if (!v->device || map_put(rr->boxes, device, v) < 0) {
        recovery_free(v);
        return NULL;
    }
    return v;
}

static const char *probe_word(ProbeState state)
{
    return state == PROBE_OK ? "ok" : state == PROBE_OFFLINE ? "offline" : "silent";
}

static void probe_finish(Recovery *v)
{
    DeviceConn *s = device_conn_find(v->owner->conns, v->device, ROLE_RECOVERY);
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("probe.result");
    _cleanup_(freep) char *asked = TAKE_PTR(v->asked);
    timer_disarm(v->deadline);
    if (!s || device_conn_number(s) != v->connection || !m || json_add_string(m, "id", asked) < 0 ||
        json_add_int(m, "sessions", (int) device_conns_people(v->owner->conns, v->device)) < 0)
        return;
    for (size_t i = 0; i < ELEMENTSOF(probed); i++)
        if (json_add_string(m, role_name(probed[i]), probe_word(v->states[i])) < 0)
            return;
    if (device_conn_send(s, m) < 0)
        log_debug("recovery of %s does not take the result of its probe", v->device);
}

static int on_probe_timeout(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    probe_finish(userdata);
    return 0;
}

static bool probe_waits(const Recovery *v)
{
    for (size_t i = 0; i < ELEMENTSOF(probed); i++)
        if (v->states[i] == PROBE_WAITING)
            return true;
    return false;
}

static void probe_send(Recovery *v, size_t i)
{
    DeviceConn *s = device_conn_find(v->owner->conns, v->device, probed[i]);
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("probe");
    v->states[i] = s ? PROBE_WAITING : PROBE_OFFLINE;
    if (s && m && json_add_string(m, "id", v->id) >= 0 && device_conn_send(s, m) < 0)
        log_debug("%s of %s takes no probe now", role_name(probed[i]), v->device);
}

static void on_probe_request(DeviceConn *s, const cJSON *message, void *userdata)
{
    RecoveryReports *rr = userdata;
    if (device_conn_role(s) != ROLE_RECOVERY)
        return;
    Recovery *v = recovery_of(rr, device_conn_device(s));
    char *asked = strdup(json_string(message, "id"));
    if (!v || !asked || random_id(v->id) < 0 ||
        timer_arm(rr->event, &v->deadline, PROBE_TIMEOUT, on_probe_timeout, v) < 0) {
        free(asked);
        return; /* no result is an answer that recovery-agent understands */
    }
    free(v->asked);
    v->asked = asked;
    v->connection = device_conn_number(s);
    v->has_probed = true;
    for (size_t i = 0; i < ELEMENTSOF(probed); i++)
        probe_send(v, i);
    if (!probe_waits(v))
        probe_finish(v);
}

static void on_probe_answer(DeviceConn *s, const cJSON *message, void *userdata)
{
    const RecoveryReports *rr = userdata;
    Recovery *v = map_get(rr->boxes, device_conn_device(s));
    if (!v || !v->asked || !str_equal(v->id, json_string(message, "id")))
        return;
    for (size_t i = 0; i < ELEMENTSOF(probed); i++)
        if (probed[i] == device_conn_role(s) && v->states[i] == PROBE_WAITING)
            v->states[i] = PROBE_OK;
    if (!probe_waits(v))
        probe_finish(v);
}

/* What we know ourselves of a wedge for which the box named no reason. */
static const char *own_reason(const Recovery *v)
{
    if (v->has_probed && v->states[0] == PROBE_OFFLINE)
        return "device tunnel: not connected";
    if (v->has_probed && v->states[0] == PROBE_WAITING)
        return "device tunnel: connected, but no answer";
    return "the box named none; `secbox-fleet devices show` has its last report";
}

/* A new array. Older boxes name none while a step is under way: then those of the report before, or what we know. */
static cJSON *reasons_of(const Recovery *v, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *before = NULL;
    const cJSON *reasons = cJSON_GetObjectItemCaseSensitive(message, "reasons");
    const char *own = own_reason(v);
    if (cJSON_GetArraySize(reasons) == 0 && v->status &&
        json_parse_object(v->status, strlen(v->status), &before, NULL) >= 0)
        reasons = cJSON_GetObjectItemCaseSensitive(before, "reasons");
    return cJSON_GetArraySize(reasons) > 0 ? cJSON_Duplicate(reasons, true) : cJSON_CreateStringArray(&own, 1);
}

static void raise_alarm(const Recovery *v, const cJSON *message)
{
    _cleanup_(freep) char *actor = str_format("device:%s", v->device);
    cJSON *detail = cJSON_CreateObject();
    if (detail && json_add_item(detail, "reasons", reasons_of(v, message)) < 0)
        detail = (cJSON_Delete(detail), NULL);
    audit_write(v->owner->store, &(AuditEntry) { .actor = actor ? actor : "device",
                                                 .action = "recovery.wedged",
                                                 .device = v->device,
                                                 .alarm = true,
                                                 .detail = detail });
}

/* The box has been opened by a signature that anybody who carried it could have used for root. */
static void note_unsigned_account(Recovery *v, const cJSON *message)
{
    const char *session = json_string(message, "unsignedAccount");
    _cleanup_(freep) char *actor = str_format("device:%s", v->device);
    cJSON *detail = cJSON_CreateObject();
    if (!session || str_equal(session, v->unsigned_account)) {
        cJSON_Delete(detail);
        return;
    }
    free(v->unsigned_account);
    v->unsigned_account = strdup(session);
    if (detail && json_add_string(detail, "session", session) < 0)
        detail = (cJSON_Delete(detail), NULL);
    audit_write(v->owner->store, &(AuditEntry) { .actor = actor ? actor : "device",
                                                 .action = "grant.account-unsigned",
                                                 .device = v->device,
                                                 .alarm = true,
                                                 .detail = detail });
}

static void on_status(DeviceConn *s, const cJSON *message, void *userdata)
{
    RecoveryReports *rr = userdata;
    if (device_conn_role(s) != ROLE_RECOVERY)
        return;
    Recovery *v = recovery_of(rr, device_conn_device(s));
    _cleanup_(cJSON_Deletep) cJSON *kept = cJSON_Duplicate(message, true);
    cJSON_DeleteItemFromObjectCaseSensitive(kept, "type");
    char *text = kept ? json_print(kept) : NULL;
    if (!v || !text) {
        free(text);
        return;
    }
    bool wedged = str_equal(json_string(message, "state"), "wedged");
    if (wedged && !v->was_wedged)
        raise_alarm(v, message);
    v->was_wedged = wedged;
    note_unsigned_account(v, message);
    free(v->status);
    v->status = text;
    v->status_at = realtime_usec();
}

static void on_reconnect(DeviceConn *s, const cJSON *message _unused_, void *userdata)
{
    const RecoveryReports *rr = userdata;
    if (device_conn_role(s) == ROLE_RECOVERY)
        device_conns_close(rr->conns, device_conn_device(s), ROLE_DEVICE, WS_CLOSE_GOING_AWAY,
                           "recovery asks for a new connection");
}

static int describe(const char *device, cJSON *object, void *userdata)
{
    const RecoveryReports *rr = userdata;
    char at[TIMESTAMP_SIZE];
    const Recovery *v = map_get(rr->boxes, device);
    _cleanup_(cJSON_Deletep) cJSON *status = NULL;
    if (!v || !v->status)
        return 0;
    int r = json_parse_object(v->status, strlen(v->status), &status, NULL);
    if (r >= 0)
        r = json_add_string(status, "statusAt", timestamp_format(v->status_at, at));
    return r < 0 ? r : json_add_item(object, "recovery", TAKE_PTR(status));
}

static const DeviceMessage messages[] = {
    { "probe.request", false, on_probe_request },
    { "probe.answer", false, on_probe_answer },
    { "recovery.status", false, on_status },
    { "recovery.reconnect", false, on_reconnect },
    {},
};

static void on_removed(const char *device, void *userdata)
{
    map_remove(((RecoveryReports *) userdata)->boxes, device);
}

static const DeviceListener listener = { .messages = messages, .on_removed = on_removed, .describe = describe };

RecoveryReports *recovery_reports_new(sd_event *event, Store *store, DeviceConns *conns)
{
    RecoveryReports *rr = calloc(1, sizeof(*rr));
    if (!rr)
        return NULL;
    *rr = (RecoveryReports) { .event = event, .store = store, .conns = conns, .boxes = map_new(recovery_free) };
    if (!rr->boxes || device_conns_listen(conns, &listener, rr) < 0)
        return recovery_reports_free(rr);
    return rr;
}

RecoveryReports *recovery_reports_free(RecoveryReports *rr)
{
    if (rr) {
        map_free(rr->boxes);
        free(rr);
    }
    return NULL;
}
