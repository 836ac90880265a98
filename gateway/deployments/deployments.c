/* SPDX-License-Identifier: MIT */
/* Following deployments by what their boxes say. */
#include "gateway/deployments/deployments.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/deployments/deployment.h"
#include "gateway/deployments/deployments-save.h"
#include "gateway/deployments/deployments-send.h"
#include "gateway/store/deployments-table.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

/* so many events are taken from a box about one deployment */
#define EVENTS_MAX 5000
#define UNSAVED_EVENTS_MAX 512
/* on top of its confirm deadline */
#define SILENCE_MAX (30 * USEC_PER_MINUTE)

/* The open deployment of this box, if it is the one whose id the object has. */
static Deployment *deployment_named(const Deployments *ds, const DeviceConn *s, const cJSON *object)
{
    Deployment *d = map_get(ds->open, device_conn_device(s));
    return d && d->version > 0 && str_equal(json_string(object, "id"), d->id) ? d : NULL;
}

/* The message as it is stored: without what the event's key says already, and with a numeric seq. */
static cJSON *event_from(const cJSON *message, uint64_t seq)
{
    cJSON *e = cJSON_Duplicate(message, true);
    if (!e)
        return NULL;
    static const char *const left_out[] = { "type", "id", "version", "seq" };
    for (size_t i = 0; i < ELEMENTSOF(left_out); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(e, left_out[i]);
    if (json_add_int(e, "seq", (int) seq) < 0) {
        cJSON_Delete(e);
        return NULL;
    }
    return e;
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
    cJSON *event = event_from(message, seq);
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
    const char *nonce = json_string(pending, "nonce");
    d->progressed = true;
    if (!str_equal(json_string(pending, "phase"), "confirm"))
        d->barred_connection = device_conn_number(s);
    else if (device_conn_number(s) == d->barred_connection)
        deployment_log(d, LOG_LEVEL_INFO, "waits for a connection opened after the change");
    else if (!nonce || !secret_equal(nonce, d->nonce))
        deployment_log(d, LOG_LEVEL_WARNING, "the box names another nonce, not confirmed");
    else
        deployment_confirm(d, s);
}

/* The connection broke before the message arrived. Whoever pushed it may have left long ago. A rollout still wants it; one
 * that was stopped ends it, so that the box gets its turn when the rollout goes on. */
static void deployment_never_arrived(Deployment *d)
{
    const Deployments *ds = d->owner;
    Error err = {};
    bool young = boottime_usec() - d->created_at < d->confirm_deadline * USEC_PER_SEC;
    if (d->rollout ? ds->events->is_sending(d->rollout, ds->userdata) : young) {
        deployment_send_again(d);
    } else if (d->rollout) {
        error_set(&err, ENOTCONN, "rollout.stopped", "the rollout was stopped before this reached the box");
        deployment_end_here(d, 503, -ENOTCONN, &err);
    }
    error_done(&err);
}

static void on_status(DeviceConn *s, const cJSON *message, void *userdata)
{
    Deployments *ds = userdata;
    Deployment *d = map_get(ds->open, device_conn_device(s));
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(message, "last");
    const cJSON *pending = cJSON_GetObjectItemCaseSensitive(message, "pending");
    if (!d || d->version == 0 || d->result)
        return;
    if (deployment_named(ds, s, pending)) {
        d->last_word = boottime_usec();
        deployment_pending(d, s, pending);
    } else if (deployment_named(ds, s, last) && json_string(last, "outcome")) {
        on_result(s, last, ds);
    } else if (!d->progressed && device_conn_number(s) != d->barred_connection) {
        deployment_never_arrived(d);
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
        if (!d->lost && !d->result && now - d->last_word > d->confirm_deadline * USEC_PER_SEC + SILENCE_MAX) {
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
    *ds = (Deployments) { .store = store, .requests = requests, .conns = conns, .open = map_new(NULL) };
    if (!ds->open || device_conns_listen(conns, &listener, ds) < 0)
        return deployments_free(ds);
    return ds;
}

Deployments *deployments_free(Deployments *ds)
{
    void *value;
    if (!ds)
        return NULL;
    for (size_t i = 0; ds->open && map_next(ds->open, &i, NULL, &value);)
        deployment_free(value);
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
