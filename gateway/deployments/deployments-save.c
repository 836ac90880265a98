/* SPDX-License-Identifier: MIT */
/* See deployments-save.h. */
#include "gateway/deployments/deployments-save.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/deployments/deployment-rules.h"
#include "gateway/deployments/deployment.h"
#include "gateway/store/deployments-table.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

#define PHASE_SENDING "send"

static void acknowledge(const Deployments *ds, const char *device, const char *id)
{
    DeviceConn *s = device_conn_find(ds->conns, device, ROLE_MGMT);
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.result.ack");
    if (!s)
        return; /* it is sent again after the next welcome, and acknowledged then */
    if (!m || json_add_string(m, "id", id) < 0 || device_conn_send(s, m) < 0)
        log_debug("the result %s of %s is not acknowledged yet", id, device);
}

static void on_events_saved(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err,
                            void *userdata)
{
    Deployment *d = userdata;
    d->query = NULL;
    int n = d->n_saving;
    d->n_saving = 0;
    if (r == -ENOTCONN)
        return; /* once more when the store is back: the same seq again changes nothing */
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "%d progress events of %s are dropped", n, d->device);
    for (int i = 0; i < n; i++)
        cJSON_DeleteItemFromArray(d->events, 0);
    deployment_tell(d->owner, d->device, d->version, false);
    deployment_save(d);
}

static int save_events(Deployment *d, Error *err)
{
    _cleanup_(freep) char *events = json_print(d->events);
    if (!events)
        return error_from_errno(err, -ENOMEM, "writing progress events");
    d->n_saving = cJSON_GetArraySize(d->events);
    return store_query(d->owner->store, sql_deployment_progress(d->device, d->version, events, d->phase),
                       on_events_saved, d, &d->query, err);
}

static int query_result(const Deployments *ds, const char *device, const cJSON *result, bool by_box,
                        store_done_t on_done, void *userdata, StoreQuery **ret, Error *err)
{
    _cleanup_(freep) char *text = json_print(result);
    _cleanup_(freep) char *actor = by_box ? str_format("device:%s", device) : strdup("gateway");
    if (!text || !actor)
        return error_from_errno(err, -ENOMEM, "writing a result");
    const char *phase = json_string(result, "phase"), *state = deployment_end_state(result);
    DeploymentEnd end = {
        .device = device,
        .id = json_string(result, "id"),
        .actor = actor,
        .state = state,
        .phase = phase ? phase : "",
        .status = deployment_end_status(result),
        .result = text,
        .error = json_string(cJSON_GetObjectItemCaseSensitive(result, "error"), "id"),
        .alarm = str_equal(state, "recovery") || str_equal(state, "unknown"),
    };
    ds->events->on_ending(&end, ds->userdata);
    return store_query(ds->store, sql_deployment_end(&end), on_done, userdata, ret, err);
}

static void tell_rollouts(const Deployments *ds, const char *device, const DeploymentEndRow *row)
{
    ds->events->on_end(row->rollout, device, row->box_state, ds->userdata);
}

static void on_result_saved(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Deployment *d = userdata;
    d->query = NULL;
    if (r < 0) {
        /* the next sweep tries again; without an acknowledgement the box keeps it too */
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "the result of %s is not written yet", d->device);
        return;
    }
    const DeploymentEndRow row = deployment_end_row(rows);
    Deployments *ds = d->owner;
    _cleanup_(freep) char *device = TAKE_PTR(d->device);
    uint64_t version = d->version;
    map_take(ds->open, device);
    if (!d->lost)
        acknowledge(ds, device, d->id);
    deployment_free(d);
    deployment_tell(ds, device, version, true);
    tell_rollouts(ds, device, &row);
}

/* The result of a deployment that the gateway itself ends. */
static cJSON *result_new(const Deployment *d, int status, const char *outcome, int r, const Error *err)
{
    char now[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    if (!o || json_add_string(o, "id", d->id) < 0 || json_add_u64(o, "version", d->version) < 0 ||
        json_add_int(o, "status", status) < 0 ||
        json_add_string(o, "phase", d->phase[0] ? d->phase : PHASE_SENDING) < 0 ||
        json_add_string(o, "outcome", outcome) < 0 || json_add_item(o, "error", json_from_error(err, r)) < 0 ||
        json_add_string(o, "at", timestamp_format(realtime_usec(), now)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static cJSON *result_lost(const Deployment *d)
{
    Error err = {};
    error_set(&err, ETIMEDOUT, "deployment.unknown",
              "the box has not said for too long how this ended: ask for its status when it is back");
    cJSON *o = result_new(d, 504, "unknown", -ETIMEDOUT, &err);
    error_done(&err);
    return o;
}

void deployment_end_here(Deployment *d, int status, int code, const Error *err)
{
    if (!d->result)
        d->result = result_new(d, status, "failed", code, err);
    deployment_save(d);
}

void deployment_save(Deployment *d)
{
    Error err = {};
    int r = 0;
    if (d->query || !store_is_up(d->owner->store))
        return;
    if (d->lost && !d->result)
        d->result = result_lost(d);
    if (cJSON_GetArraySize(d->events) > 0)
        r = save_events(d, &err);
    else if (d->result)
        r = query_result(d->owner, d->device, d->result, !d->lost, on_result_saved, d, &d->query, &err);
    if (r < 0) /* the next sweep tries again */
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "news of %s are not written yet", d->device);
    error_done(&err);
}

/* A result that nothing in memory waits for: sent again after a lost acknowledgement, long overdue, or of a change made at
 * the box itself. */
typedef struct LateResult {
    Deployments *owner;
    char *device, *id;
    cJSON *result;
} LateResult;

static void late_result_free(LateResult *l)
{
    if (!l)
        return;
    free(l->device);
    free(l->id);
    cJSON_Delete(l->result);
    free(l);
}
DEFINE_CLEANUP(LateResult, late_result_free)

/* The box forgets a result that is acknowledged, so it is in the audit log before. */
static void on_local_noted(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    _cleanup_(late_result_freep) LateResult *l = userdata;
    audit_written_once(r, rows, err);
    if (r >= 0)
        acknowledge(l->owner, l->device, l->id);
}

/* A change made at the box: recorded once, so that history and audit log tell the whole story. Takes the result if it is not
 * negative. */
static int note_local_result(LateResult *l)
{
    static const char *const keys[] = { "id", "version" };
    _cleanup_(freep) char *actor = str_format("device:%s", l->device);
    cJSON *detail = deployment_local_detail(l->result);

    if (!actor || !detail) {
        cJSON_Delete(detail);
        return -ENOMEM;
    }
    return audit_write_once(
        l->owner->store,
        &(AuditEntry) { .actor = actor, .action = LOCAL_RESULT_ACTION, .device = l->device, .detail = detail }, keys,
        on_local_noted, l);
}

static void on_late_saved(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    _cleanup_(late_result_freep) LateResult *l = userdata;
    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "a result of %s waits until the box sends it again", l->device);
        return;
    }
    uint64_t version = 0;
    const DeploymentEndRow row = deployment_end_row(rows);
    if (row.version && str_to_u64(row.version, 0, UINT64_MAX, &version) >= 0)
        deployment_tell(l->owner, l->device, version, true);
    else if (!row.known) {
        if (note_local_result(l) >= 0)
            l = NULL; /* on_local_noted has it */
        return;       /* if not, the box says it again */
    }
    acknowledge(l->owner, l->device, l->id);
    tell_rollouts(l->owner, l->device, &row);
}

void deployment_save_late(Deployments *ds, const char *device, const cJSON *result)
{
    Error err = {};
    _cleanup_(late_result_freep) LateResult *l = calloc(1, sizeof(*l));
    _cleanup_(cJSON_Deletep) cJSON *stored = cJSON_Duplicate(result, true);
    if (!l || !stored)
        return; /* the box sends it again */
    cJSON_DeleteItemFromObjectCaseSensitive(stored, "type");
    l->owner = ds;
    l->device = strdup(device);
    l->id = json_string(result, "id") ? strdup(json_string(result, "id")) : NULL;
    l->result = cJSON_Duplicate(stored, true);
    if (!l->device || !l->id || !l->result)
        return;
    int r = query_result(ds, device, stored, true, on_late_saved, l, NULL, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "a result of %s waits until the box sends it again", device);
    else
        l = NULL; /* on_late_saved has it */
    error_done(&err);
}
