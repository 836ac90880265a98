/* SPDX-License-Identifier: MIT */
/* Opening deployments, for operators and for rollouts, and sending them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/http/api.h"
#include "gateway/auth/audit.h"
#include "gateway/deployments/deployments-internal.h"
#include "gateway/devices/device-query.h"
#include "gateway/rollouts/rollouts.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

static Request *deployment_starter(const Deployment *d)
{
    return d->starter[0] ? map_get(d->gateway->requests, d->starter) : NULL;
}

static int add_content(const Deployment *d, cJSON *m)
{
    if (!d->update)
        return json_add_string(m, "compose", d->compose);
    return json_add_string(m, "image", d->image) < 0 || json_add_string(m, "digest", d->digest) < 0 ||
                   json_add_string(m, "service", d->service) < 0
               ? -ENOMEM
               : 0;
}

static cJSON *deployment_message(const Deployment *d)
{
    char now[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *m = message_new(d->update ? "image.update" : "compose.snapshot");
    if (!m || json_add_string(m, "id", d->id) < 0 || json_add_u64(m, "version", d->version) < 0 ||
        json_add_string(m, "deviceId", d->device) < 0 || add_content(d, m) < 0 ||
        json_add_string(m, "issuedAt", timestamp_format(realtime_usec(), now)) < 0 ||
        json_add_string(m, "nonce", d->nonce) < 0 ||
        json_add_int(m, "confirmDeadlineSeconds", (int) d->confirm_deadline) < 0)
        return NULL;
    return TAKE_PTR(m);
}

void deployment_send(Deployment *d)
{
    DeviceConn *s = device_conn_find(d->gateway, d->device, ROLE_MGMT);
    _cleanup_(cJSON_Deletep) cJSON *m = deployment_message(d);
    int r = !m ? -ENOMEM : s ? device_conn_send(s, m) : -ENOTCONN;
    d->unsent = false;
    if (r < 0) {
        Error err = {};
        device_offline_error(d->device, &err);
        deployment_end_here(d, 503, r, &err);
        error_done(&err);
        return;
    }
    d->barred_connection = device_conn_number(s);
    d->compose = (free(d->compose), NULL);
    d->image = (free(d->image), NULL);
    d->digest = (free(d->digest), NULL);
    d->service = (free(d->service), NULL);
    deployment_log(d, LOG_LEVEL_INFO, "sent");
}

static cJSON *deployment_brief(const Deployment *d)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    cJSON *o = body ? cJSON_AddObjectToObject(body, "deployment") : NULL;
    if (!o || json_add_string(o, "id", d->id) < 0 || json_add_u64(o, "version", d->version) < 0 ||
        json_add_string(o, "device", d->device) < 0 || json_add_string(o, "state", "open") < 0)
        return NULL;
    return TAKE_PTR(body);
}

static void request_fail_busy(Request *c)
{
    Error err = {};
    error_set(&err, EBUSY, "deployment.busy",
              "device %s is busy with another deployment: wait for its end, then push again", c->args[0]);
    audit_write(c->gateway, &(AuditEntry) { .actor = c->actor,
                                           .action = "compose.push-refused-busy",
                                           .device = c->args[0] });
    request_fail(c, -EBUSY, &err);
    error_done(&err);
}

/* Nothing was stored: as if it had never been asked for. */
static void deployment_abandon(Deployment *d, int r, const Error *err)
{
    Gateway *g = d->gateway;
    Request *c = deployment_starter(d);
    _cleanup_(freep) char *rollout = TAKE_PTR(d->rollout), *device = TAKE_PTR(d->device);
    map_take(g->deployments, device);
    deployment_free(d);
    if (rollout)
        rollouts_on_stored(g, rollout, device, r < 0 ? r : -EBUSY);
    else if (c && r == 0)
        request_fail_busy(c);
    else if (c)
        request_fail(c, r, err);
}

static void on_stored(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Deployment *d = userdata;
    d->query = NULL;
    if (r < 0 || store_rows_count(rows) == 0 ||
        str_to_u64(store_rows_get(rows, 0, 0), 1, UINT64_MAX, &d->version) < 0) {
        deployment_abandon(d, r, err);
        return;
    }
    if (d->rollout)
        rollouts_on_stored(d->gateway, d->rollout, d->device, 0);
    Request *c = deployment_starter(d);
    if (c && d->wait) {
        c->version = d->version;
        api_wait_for_end(c);
        deployment_send(d);
        return;
    }
    /* answered after sending, so that 202 means sent; sending never frees */
    deployment_send(d);
    c = deployment_starter(d);
    if (c && d->result) {
        c->version = d->version;
        api_wait_for_end(c);
    } else if (c) {
        request_answer(c, 202, deployment_brief(d));
    }
}

static int deployment_store(Deployment *d, const Request *c, const DeploymentRequest *request, uint64_t floor,
                            Error *err)
{
    char sha256[SHA256_HEX_SIZE], lowest[24], deadline[16];
    int r = sha256_hex(d->compose, strlen(d->compose), sha256);
    if (r < 0)
        return error_from_errno(err, r, "opening a deployment");
    snprintf(lowest, sizeof(lowest), "%" PRIu64, floor);
    snprintf(deadline, sizeof(deadline), "%u", d->confirm_deadline);
    const char *params[] = { d->device, lowest,          d->id,    sha256,  d->compose,
                             c->actor,  request->reason, d->nonce, deadline };
    return store_query(
        d->gateway->store,
        "WITH v AS (SELECT greatest(coalesce(max(version), 0), $2::bigint) + 1 AS version"
        " FROM deployments WHERE device = $1),"
        " d AS (INSERT INTO deployments(device, version, id, sha256, compose, requested_by, reason, nonce,"
        " confirm_deadline) SELECT $1, version, $3, $4, $5, $6, $7, $8, $9::integer FROM v"
        " ON CONFLICT DO NOTHING RETURNING device, version),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $6, 'compose.push', device,"
        " jsonb_build_object('id', $3::text, 'version', version::text, 'sha256', $4::text, 'reason',"
        " $7::text) FROM d)"
        " SELECT version FROM d",
        params, ELEMENTSOF(params), on_stored, d, &d->query, err);
}

/* The box's turn in its rollout and the deployment that it gets are one transaction: whatever is killed when, no
 * box gets its turn twice. A box that has another one open makes the statement fail as a whole. */
static int deployment_store_turn(Deployment *d, uint64_t floor, Error *err)
{
    char lowest[24];
    snprintf(lowest, sizeof(lowest), "%" PRIu64, floor);
    const char *params[] = { d->device, lowest, d->id, d->nonce, d->rollout };
    return store_query(
        d->gateway->store,
        "WITH v AS (SELECT greatest(coalesce(max(version), 0), $2::bigint) + 1 AS version"
        " FROM deployments WHERE device = $1),"
        " r AS (SELECT * FROM rollouts WHERE id = $5 AND state IN ('running', 'soaking', 'done')),"
        " b AS (UPDATE rollout_boxes b SET state = 'sent', deployment = $3, version = v.version,"
        " attempts = attempts + 1, sent_at = now(), error = NULL, finished_at = NULL FROM v, r"
        " WHERE b.rollout = r.id AND b.device = $1 AND b.state IN ('waiting', 'offline')"
        " AND b.group_index <= r.group_index RETURNING b.device, v.version),"
        " d AS (INSERT INTO deployments(device, version, id, sha256, compose, requested_by, reason, nonce,"
        " confirm_deadline, kind, image, digest, service, rollout)"
        " SELECT b.device, b.version, $3, r.sha256, r.compose, r.created_by, r.reason, $4, r.confirm_deadline,"
        " r.kind, r.image, r.digest, r.service, r.id FROM b, r RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT requested_by,"
        " CASE kind WHEN 'update' THEN 'image.update' ELSE 'compose.push' END, device,"
        " jsonb_strip_nulls(jsonb_build_object('id', id, 'version', version::text, 'rollout', rollout,"
        " 'image', image, 'digest', digest, 'sha256', nullif(sha256, ''), 'reason', reason)) FROM d)"
        " SELECT version FROM d",
        params, ELEMENTSOF(params), on_stored, d, &d->query, err);
}

static void push_offline(Request *c)
{
    Error err = {};
    audit_write(c->gateway, &(AuditEntry) { .actor = c->actor,
                                           .action = "compose.push-refused-offline",
                                           .device = c->args[0] });
    device_offline_error(c->args[0], &err);
    request_fail(c, -ENOTCONN, &err);
    error_done(&err);
}

void deployment_push(Request *c, const DeploymentRequest *request)
{
    Error err = {};
    Gateway *g = c->gateway;
    const DeviceConn *s = device_conn_find(g, c->args[0], ROLE_MGMT);
    if (!s) {
        push_offline(c);
        return;
    }
    if (map_get(g->deployments, c->args[0])) {
        request_fail_busy(c);
        return;
    }
    Deployment *d = deployment_new(g, c->args[0]);
    int r = -ENOMEM;
    if (d) {
        memcpy(d->starter, c->id, sizeof(d->starter));
        d->wait = request->wait;
        d->confirm_deadline = request->confirm_deadline;
        d->compose = strdup(request->compose);
        r = d->compose ? deployment_store(d, c, request, device_conn_version_floor(s), &err) : -ENOMEM;
    }
    if (r < 0) {
        deployment_free(d);
        request_fail(c, r, &err);
    }
    error_done(&err);
}

/* NULL stays NULL; 0 or -ENOMEM. */
static int copy(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

int deployment_order(Gateway *g, const DeploymentOrder *order, Error *err)
{
    const DeviceConn *s = device_conn_find(g, order->device, ROLE_MGMT);
    if (!s)
        return device_offline_error(order->device, err);
    if (map_get(g->deployments, order->device))
        return error_set(err, EBUSY, "deployment.busy", "device %s is busy with another deployment", order->device);
    Deployment *d = deployment_new(g, order->device);
    if (!d)
        return error_from_errno(err, -ENOMEM, "opening a deployment");
    d->update = !order->compose;
    d->confirm_deadline = order->confirm_deadline;
    int r = copy(order->rollout, &d->rollout);
    if (r >= 0)
        r = copy(order->compose, &d->compose);
    if (r >= 0)
        r = copy(order->image, &d->image);
    if (r >= 0)
        r = copy(order->digest, &d->digest);
    if (r >= 0)
        r = copy(order->service, &d->service);
    if (r >= 0)
        r = deployment_store_turn(d, device_conn_version_floor(s), err);
    if (r < 0)
        deployment_free(d);
    return r;
}

bool deployment_is_of(const Gateway *g, const char *device, const char *rollout)
{
    const Deployment *d = map_get(g->deployments, device);
    return d && d->rollout && str_equal(d->rollout, rollout);
}

static void on_content(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Deployment *d = userdata;
    d->query = NULL;
    if (r >= 0 && store_rows_count(rows) == 0)
        return;
    if (r >= 0 && (copy(store_rows_get(rows, 0, 0), &d->compose) < 0 ||
                   copy(store_rows_get(rows, 0, 1), &d->image) < 0 ||
                   copy(store_rows_get(rows, 0, 2), &d->digest) < 0 ||
                   copy(store_rows_get(rows, 0, 3), &d->service) < 0))
        r = -ENOMEM;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "cannot send the deployment of %s again", d->device);
    else
        deployment_send(d);
    deployment_save(d);
}

void deployment_send_again(Deployment *d)
{
    Error err = {};
    d->unsent = true;
    if (d->query)
        return;
    deployment_log(d, LOG_LEVEL_INFO, "the box does not know it, sending it again");
    const char *params[] = { d->id };
    int r = store_query(d->gateway->store,
                        "SELECT compose, image, digest, service FROM deployments WHERE id = $1 AND state = 'open'",
                        params, 1, on_content, d, &d->query, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "cannot send the deployment of %s again", d->device);
    error_done(&err);
}
