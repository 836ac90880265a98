/* SPDX-License-Identifier: MIT */
/* Following deployments by what their boxes say. */
#include "gateway/deployments/deployments.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/deployments/deployment-rules.h"
#include "gateway/deployments/deployment.h"
#include "gateway/deployments/deployments-save.h"
#include "gateway/deployments/deployments-send.h"
#include "gateway/deployments/deployments-waiting.h"
#include "gateway/store/deployments-table.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

/* so many events are taken from a box about one deployment */
#define EVENTS_MAX 5000
#define UNSAVED_EVENTS_MAX 512

/* The open deployment of this box, if it is the one whose id the object has. */
static Deployment *deployment_named(const Deployments *ds, const DeviceConn *s, const cJSON *object)
{
    Deployment *d = map_get(ds->open, device_conn_device(s));
    return d && deployment_is_named(d, object) ? d : NULL;
}

static void on_progress(DeviceConn *s, const cJSON *message, void *userdata)
{
    Deployments *ds = userdata;
    Deployment *d = deployment_named(ds, s, message);
    uint64_t seq;
    if (!d || d->result || json_u64(message, "seq", &seq) < 0 || seq > INT32_MAX)
        return;
    d->progressed = true;
    d->last_word = boottime_usec();
    if (++d->n_events > EVENTS_MAX || cJSON_GetArraySize(d->events) >= UNSAVED_EVENTS_MAX)
        return; /* the result is what counts */
    cJSON *event = deployment_event(message, seq);
    if (!event || json_append(d->events, event) < 0)
        return;
    snprintf(d->phase, sizeof(d->phase), "%s", json_string(message, "phase"));
    deployment_save(d);
}

static void on_result(DeviceConn *s, const cJSON *message, void *userdata)
{
    Deployments *ds = userdata;
    Deployment *d = deployment_named(ds, s, message);
    if (!d) {
        deployment_save_late(ds, device_conn_device(s), message);
        return;
    }
    d->last_word = boottime_usec();
    if (d->result)
        return; /* sent again before it was acknowledged */
    d->result = cJSON_Duplicate(message, true);
    if (!d->result)
        return; /* without our acknowledgement the box sends it again */
    cJSON_DeleteItemFromObjectCaseSensitive(d->result, "type");
    deployment_log(d, LOG_LEVEL_NOTICE, json_string(message, "outcome"));
    deployment_save(d);
}

static void deployment_confirm(Deployment *d, DeviceConn *s)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.confirm");
    if (!m || json_add_string(m, "id", d->id) < 0 || json_add_u64(m, "version", d->version) < 0 ||
        json_add_string(m, "nonce", d->nonce) < 0 || device_conn_send(s, m) < 0)
        deployment_log(d, LOG_LEVEL_ERROR, "the confirmation cannot be sent, the box will roll back");
    else
        deployment_log(d, LOG_LEVEL_NOTICE, "confirmed on a connection opened after the change");
}

/* The box works on it. A connection on which it was seen in an earlier phase was open before the change. */
static void deployment_pending(Deployment *d, DeviceConn *s, const cJSON *pending)
{
    d->progressed = true;
    d->last_word = boottime_usec();
    switch (deployment_judge_pending(d, device_conn_number(s), pending)) {
    case CONFIRM_NOT_ASKED:
        d->barred_connection = device_conn_number(s);
        break;
    case CONFIRM_OLD_CONNECTION:
        deployment_log(d, LOG_LEVEL_INFO, "waits for a connection opened after the change");
        break;
    case CONFIRM_WRONG_NONCE:
        deployment_log(d, LOG_LEVEL_WARNING, "the box names another nonce, not confirmed");
        break;
    case CONFIRM_NOW:
        deployment_confirm(d, s);
        break;
    }
}

/* The connection broke before the message arrived. */
static void deployment_never_arrived(Deployment *d)
{
    const Deployments *ds = d->owner;
    Error err = {};
    bool sending = d->rollout && ds->events->is_sending(d->rollout, ds->userdata);
    RetryVerdict verdict = deployment_judge_retry(d, boottime_usec(), sending);
    if (verdict == RETRY_NOW) {
        deployment_send_again(d);
    } else if (verdict == RETRY_END) {
        error_set(&err, ENOTCONN, "rollout.stopped", "the rollout was stopped before this reached the box");
        deployment_end_here(d, 503, -ENOTCONN, &err);
    }
    error_done(&err);
}

static void on_status(DeviceConn *s, const cJSON *message, void *userdata)
{
    Deployments *ds = userdata;
    Deployment *d = map_get(ds->open, device_conn_device(s));
    if (!d) {
        deployments_take_waiting(ds, s, message);
        return;
    }
    switch (deployment_read_status(d, device_conn_number(s), message)) {
    case STATUS_NOTHING:
        break;
    case STATUS_PENDING:
        deployment_pending(d, s, cJSON_GetObjectItemCaseSensitive(message, "pending"));
        break;
    case STATUS_ENDED:
        on_result(s, cJSON_GetObjectItemCaseSensitive(message, "last"), ds);
        break;
    case STATUS_NEVER_ARRIVED:
        deployment_never_arrived(d);
        break;
    }
}

static int adopt_row(Deployments *ds, const StoreRows *rows, size_t i, bool at_start)
{
    OpenDeploymentRow row;
    if (open_deployment_row(rows, i, &row) < 0)
        return -EBADMSG;
    if (map_get(ds->open, row.device))
        return 0;
    Deployment *d = deployment_new(ds, row.device);
    if (!d)
        return -ENOMEM;
    snprintf(d->id, sizeof(d->id), "%s", row.id);
    snprintf(d->nonce, sizeof(d->nonce), "%s", row.nonce);
    d->version = row.version;
    d->confirm_deadline = row.confirm_deadline;
    d->progressed = row.progressed;
    d->kind = row.kind;
    d->rollout = row.rollout ? strdup(row.rollout) : NULL;
    if (row.rollout && !d->rollout) {
        deployment_free(d);
        return -ENOMEM;
    }
    /* A machine that is up for a shorter time than the box was silent gives a time before its boot: differences are right
     * all the same, modulo 2^64. */
    d->created_at = d->last_word = d->created_at - row.silent * USEC_PER_SEC;
    if (at_start) {
        deployment_log(d, LOG_LEVEL_INFO, "taken over");
        return 0;
    }
    Error err = {};
    error_set(&err, ENOTCONN, "store.unavailable", "the database went away before this deployment was sent");
    deployment_end_here(d, 503, -ENOTCONN, &err);
    error_done(&err);
    return 0;
}

int deployments_adopt(Deployments *ds, const StoreRows *rows, bool at_start)
{
    int r = 0;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        r = adopt_row(ds, rows, i, at_start);
    return r;
}

void deployments_sweep(Deployments *ds)
{
    void *value;
    usec_t now = boottime_usec();
    for (size_t i = 0; map_next(ds->open, &i, NULL, &value);) {
        Deployment *d = value;
        if (d->version == 0)
            continue;
        if (!d->lost && !d->result && deployment_is_silent(d, now)) {
            deployment_log(d, LOG_LEVEL_WARNING, "no word from the box for too long, its end is unknown");
            d->lost = true;
        }
        if (d->unsent && !d->progressed && !d->result && !d->lost && device_conn_find(ds->conns, d->device, ROLE_MGMT))
            deployment_send_again(d);
        deployment_save(d);
    }
}

static const DeviceMessage messages[] = {
    { "agent.status", true, on_status },
    { "compose.progress", true, on_progress },
    { "compose.result", true, on_result },
    {},
};

static bool is_busy(const char *device, void *userdata)
{
    return deployments_is_busy(userdata, device);
}

static const DeviceListener listener = { .messages = messages, .is_busy = is_busy };

Deployments *deployments_new(Store *store, Requests *requests, DeviceConns *conns)
{
    Deployments *ds = calloc(1, sizeof(*ds));
    if (!ds)
        return NULL;
    *ds = (Deployments) {
        .store = store, .requests = requests, .conns = conns, .open = map_new(NULL), .waiting = map_new(NULL)
    };
    if (!ds->open || !ds->waiting || device_conns_listen(conns, &listener, ds) < 0)
        return deployments_free(ds);
    return ds;
}

void deployments_take_keys(Deployments *ds, BundleKeys *keys)
{
    ds->keys = keys;
}

Deployments *deployments_free(Deployments *ds)
{
    void *value;
    if (!ds)
        return NULL;
    for (size_t i = 0; ds->open && map_next(ds->open, &i, NULL, &value);)
        deployment_free(value);
    map_free(ds->waiting);
    map_free(ds->open);
    free(ds);
    return NULL;
}

void deployments_listen(Deployments *ds, const DeploymentEvents *events, void *userdata)
{
    ds->events = events;
    ds->userdata = userdata;
}

bool deployments_is_busy(const Deployments *ds, const char *device)
{
    return map_get(ds->open, device) != NULL;
}

bool deployments_is_of(const Deployments *ds, const char *device, const char *rollout)
{
    const Deployment *d = map_get(ds->open, device);
    return d && d->rollout && str_equal(d->rollout, rollout);
}
