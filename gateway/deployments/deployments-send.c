/* SPDX-License-Identifier: MIT */
/* See deployments-send.h. */
#include "gateway/deployments/deployments-send.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/deployments/deployment.h"
#include "gateway/deployments/deployments-save.h"
#include "gateway/store/deployments-table.h"
#include "gateway/store/waiting-table.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

static Request *deployment_starter(const Deployment *d)
{
    return d->starter[0] ? requests_find(d->owner->requests, d->starter) : NULL;
}

/* key: that of its sealed secrets, wrapped for the box, or NULL. */
static int add_bundle(cJSON *m, const char *digest, const char *key)
{
    cJSON *bundle = digest ? cJSON_AddObjectToObject(m, "bundle") : NULL;

    if (!digest)
        return 0;
    return !bundle || json_add_string(bundle, "digest", digest) < 0 || json_add_string(bundle, "key", key) < 0 ? -ENOMEM
                                                                                                               : 0;
}

static int add_content(const Deployment *d, const char *key, cJSON *m)
{
    if (d->kind == DEPLOYMENT_COMPOSE)
        return json_add_string(m, "compose", d->compose) < 0 ? -ENOMEM : add_bundle(m, d->digest, key);
    if (d->kind == DEPLOYMENT_ROLLBACK || d->kind == DEPLOYMENT_AGENT)
        return json_add_string(m, "to", d->target);
    if (d->kind == DEPLOYMENT_RELEASE) /* what is signed is the archive's digest without its prefix */
        return json_add_string(m, "to", d->target) < 0 || add_bundle(m, d->digest, NULL) < 0 ||
                       json_add_string(m, "sha256", d->digest + strlen(BUNDLE_DIGEST_PREFIX)) < 0
                   ? -ENOMEM
                   : 0;
    return json_add_string(m, "image", d->image) < 0 || json_add_string(m, "digest", d->digest) < 0 ||
                   json_add_string(m, "service", d->service) < 0
               ? -ENOMEM
               : 0;
}

static int add_envelope(const Deployment *d, cJSON *m)
{
    cJSON *envelope = NULL;

    if (!d->envelope)
        return 0;
    int r = json_parse_object(d->envelope, strlen(d->envelope), &envelope, NULL);
    return r < 0 ? r : json_add_item(m, "order", envelope);
}

/* Of the files' secrets; an agent that knows nothing of them would take what is sealed for the secret. */
static int find_key(const Deployments *ds, const DeviceConn *s, const char *digest, char **ret, Error *err)
{
    int r = bundle_keys_find(device_conn_device(s), digest, ret, ds->keys, err);

    return r < 0 || !*ret ? r : device_conn_check_takes(s, ORDER_SEALED, err);
}

int deployments_check_key(const Deployments *ds, const DeviceConn *s, const char *digest, Error *err)
{
    _cleanup_(freep) char *key = NULL;

    return find_key(ds, s, digest, &key, err);
}

static cJSON *deployment_message(const Deployment *d, const char *key)
{
    static const char *const types[] = {
        [DEPLOYMENT_COMPOSE] = "compose.snapshot",  [DEPLOYMENT_UPDATE] = "image.update",
        [DEPLOYMENT_ROLLBACK] = "compose.rollback", [DEPLOYMENT_AGENT] = "agent.update",
        [DEPLOYMENT_RELEASE] = "release.update",
    };
    char now[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *m = message_new(types[d->kind]);
    if (!m || json_add_string(m, "id", d->id) < 0 || json_add_u64(m, "version", d->version) < 0 ||
        json_add_string(m, "deviceId", d->device) < 0 || json_add_string(m, "project", d->project) < 0 ||
        add_content(d, key, m) < 0 || json_add_string(m, "issuedAt", timestamp_format(realtime_usec(), now)) < 0 ||
        json_add_string(m, "nonce", d->nonce) < 0 ||
        json_add_int(m, "confirmDeadlineSeconds", (int) d->confirm_deadline) < 0 || add_envelope(d, m) < 0)
        return NULL;
    return TAKE_PTR(m);
}

/* Sends it to the box, or ends the deployment when the box has just gone. */
static void deployment_send(Deployment *d)
{
    DeviceConn *s = device_conn_find(d->owner->conns, d->device, ROLE_MGMT);
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;
    _cleanup_(freep) char *key = NULL;
    Error err = {};
    /* an agent that does not look at the signature would take the order as it is */
    int r = !s ? -ENOTCONN : d->envelope ? device_conn_check_takes(s, ORDER_SIGNED, &err) : 0;
    /* an older one would take the file for its own project's */
    if (r >= 0 && d->project)
        r = device_conn_check_takes(s, ORDER_PROJECT, &err);
    if (r >= 0 && d->kind == DEPLOYMENT_COMPOSE && d->digest)
        r = device_conn_check_takes(s, ORDER_BUNDLE, &err);
    if (r >= 0 && d->kind == DEPLOYMENT_COMPOSE && d->digest)
        r = find_key(d->owner, s, d->digest, &key, &err);
    if (r >= 0 && !(m = deployment_message(d, key)))
        r = -ENOMEM;
    if (r >= 0)
        r = device_conn_send(s, m);
    d->unsent = false;
    if (r < 0) {
        if (!err.id)
            device_offline_error(d->device, &err);
        deployment_end_here(d, r == -EBADMSG || r == -EINVAL ? 422 : 503, r, &err);
        error_done(&err);
        return;
    }
    d->barred_connection = device_conn_number(s);
    d->compose = (free(d->compose), NULL);
    d->image = (free(d->image), NULL);
    d->digest = (free(d->digest), NULL);
    d->service = (free(d->service), NULL);
    d->target = (free(d->target), NULL);
    d->project = (free(d->project), NULL);
    d->envelope = (free(d->envelope), NULL);
    deployment_log(d, LOG_LEVEL_INFO, "sent");
}

static void fail_busy(const Deployments *ds, Request *c)
{
    Error err = {};
    error_set(&err, EBUSY, "deployment.busy",
              "device %s is busy with another deployment: wait for its end, then push again", c->args[0]);
    audit_write(ds->store,
                &(AuditEntry) { .actor = c->actor, .action = "compose.push-refused-busy", .device = c->args[0] });
    request_fail(c, -EBUSY, &err);
    error_done(&err);
}

/* Nothing was stored: as if it had never been asked for. */
static void deployment_abandon(Deployment *d, int r, const Error *err)
{
    Deployments *ds = d->owner;
    Request *c = deployment_starter(d);
    _cleanup_(freep) char *rollout = TAKE_PTR(d->rollout), *device = TAKE_PTR(d->device);
    map_take(ds->open, device);
    deployment_free(d);
    if (rollout)
        ds->events->on_stored(rollout, device, r < 0 ? r : -EBUSY, ds->userdata);
    else if (c && r == 0)
        fail_busy(ds, c);
    else if (c)
        request_fail(c, r, err);
}

static void on_stored(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Deployment *d = userdata;
    d->query = NULL;
    if (r >= 0 && d->rollout && store_rows_count(rows) > 0)
        r = store_rows_copy(rows, 0, 1, &d->envelope);
    if (r < 0 || store_rows_u64(rows, 0, 0, UINT64_MAX, &d->version) < 0) {
        deployment_abandon(d, r, err);
        return;
    }
    const Deployments *ds = d->owner;
    if (d->rollout)
        ds->events->on_stored(d->rollout, d->device, 0, ds->userdata);
    deployment_send(d); /* never frees */
    Request *c = deployment_starter(d);
    if (c)
        d->on_sent(c, d);
}

static int deployment_store(Deployment *d, const Request *c, const DeploymentRequest *request, uint64_t floor,
                            Error *err)
{
    char sha256[SHA256_HEX_SIZE] = "";
    int r = d->compose ? bundle_snapshot_digest(d->compose, d->digest, sha256) : 0;
    if (r < 0)
        return error_from_errno(err, r, "opening a deployment");
    const NewDeployment row = {
        .device = d->device,
        .id = d->id,
        .nonce = d->nonce,
        .version_floor = floor,
        .kind = d->kind,
        .compose = d->compose ? d->compose : "",
        .sha256 = sha256,
        .digest = d->digest,
        .target = d->target,
        .actor = c->actor,
        .reason = request->reason,
        .envelope = request->envelope,
        .project = d->project,
        .confirm_deadline = d->confirm_deadline,
    };
    return store_query(d->owner->store, sql_deployment_add(&row), on_stored, d, &d->query, err);
}

static void on_waiting(StoreQuery *q, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Deployment *d = userdata;
    uint64_t deadline = CONFIRM_SECONDS_DEFAULT;
    if (r >= 0 && store_rows_count(rows) > 0 &&
        (store_rows_copy(rows, 0, 1, &d->compose) < 0 || store_rows_u64(rows, 0, 2, UINT32_MAX, &deadline) < 0 ||
         store_rows_copy(rows, 0, 3, &d->envelope) < 0 || store_rows_copy(rows, 0, 4, &d->digest) < 0 ||
         store_rows_copy(rows, 0, 5, &d->project) < 0))
        r = -ENOMEM;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "what waits for %s is not sent yet", d->device);
    else if (store_rows_count(rows) == 0) /* else there may be more of other projects */
        map_remove(d->owner->waiting, d->device);
    d->confirm_deadline = (unsigned) deadline;
    on_stored(q, r, rows, err, userdata);
}

int deployment_store_waiting(Deployment *d, const DeviceConn *s, bool blank, Error *err)
{
    const NewDeployment row = {
        .device = d->device,
        .id = d->id,
        .nonce = d->nonce,
        .version_floor = device_conn_version_floor(s),
        .confirm_deadline = CONFIRM_SECONDS_DEFAULT,
    };
    const Statement add =
        sql_deployment_add_waiting(&row, blank, device_conn_takes(s, ORDER_SIGNED), device_conn_takes(s, ORDER_BUNDLE));
    return store_query(d->owner->store, add, on_waiting, d, &d->query, err);
}

static int deployment_store_turn(Deployment *d, uint64_t floor, Error *err)
{
    const NewDeployment row = { .device = d->device, .id = d->id, .nonce = d->nonce, .version_floor = floor };
    return store_query(d->owner->store, sql_deployment_add_turn(&row, d->rollout), on_stored, d, &d->query, err);
}

static void fail_offline(const Deployments *ds, Request *c)
{
    Error err = {};
    audit_write(ds->store,
                &(AuditEntry) { .actor = c->actor, .action = "compose.push-refused-offline", .device = c->args[0] });
    device_offline_error(c->args[0], &err);
    request_fail(c, -ENOTCONN, &err);
    error_done(&err);
}

/* NULL stays NULL; 0 or -ENOMEM. */
static int copy(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

void deployment_push(Deployments *ds, Request *c, const DeploymentRequest *request)
{
    Error err = {};
    const DeviceConn *s = device_conn_find(ds->conns, c->args[0], ROLE_MGMT);
    if (!s) {
        fail_offline(ds, c);
        return;
    }
    if (map_get(ds->open, c->args[0])) {
        fail_busy(ds, c);
        return;
    }
    AgentOrder order = request->kind == DEPLOYMENT_AGENT      ? ORDER_AGENT
                       : request->kind == DEPLOYMENT_RELEASE  ? ORDER_RELEASE
                       : request->kind == DEPLOYMENT_ROLLBACK ? ORDER_ROLLBACK
                                                              : ORDER_BUNDLE;
    _cleanup_(freep) char *key = NULL;
    int r = request->kind == DEPLOYMENT_COMPOSE && !request->bundle ? 0 : device_conn_check_takes(s, order, &err);
    if (r >= 0 && request->bundle)
        r = find_key(ds, s, request->bundle, &key, &err);
    if (r >= 0 && request->envelope)
        r = device_conn_check_takes(s, ORDER_SIGNED, &err);
    if (r >= 0 && request->project)
        r = device_conn_check_takes(s, ORDER_PROJECT, &err);
    Deployment *d = r < 0 ? NULL : deployment_new(ds, c->args[0]);
    if (r >= 0 && !d)
        r = -ENOMEM;
    if (d) {
        memcpy(d->starter, c->id, sizeof(d->starter));
        d->on_sent = request->on_sent;
        d->confirm_deadline = request->confirm_deadline;
        d->kind = request->kind;
        r = copy(request->compose, &d->compose);
        if (r >= 0)
            r = copy(request->project, &d->project);
        if (r >= 0)
            r = copy(request->target, &d->target);
        if (r >= 0)
            r = copy(request->envelope, &d->envelope);
        if (r >= 0)
            r = copy(request->bundle, &d->digest);
        if (r >= 0)
            r = deployment_store(d, c, request, device_conn_version_floor(s), &err);
    }
    if (r < 0) {
        deployment_free(d);
        request_fail(c, r, &err);
    }
    error_done(&err);
}

int deployment_order(Deployments *ds, const DeploymentOrder *order, Error *err)
{
    const DeviceConn *s = device_conn_find(ds->conns, order->device, ROLE_MGMT);
    if (!s)
        return device_offline_error(order->device, err);
    if (map_get(ds->open, order->device))
        return error_set(err, EBUSY, "deployment.busy", "device %s is busy with another deployment", order->device);
    Deployment *d = deployment_new(ds, order->device);
    if (!d)
        return error_from_errno(err, -ENOMEM, "opening a deployment");
    d->kind = order->compose                   ? DEPLOYMENT_COMPOSE
              : order->target && order->digest ? DEPLOYMENT_RELEASE
              : order->target                  ? DEPLOYMENT_AGENT
                                               : DEPLOYMENT_UPDATE;
    d->confirm_deadline = order->confirm_deadline;
    int r = copy(order->rollout, &d->rollout);
    if (r >= 0)
        r = copy(order->compose, &d->compose);
    if (r >= 0)
        r = copy(order->target, &d->target);
    if (r >= 0)
        r = copy(order->image, &d->image);
    if (r >= 0)
        r = copy(order->digest, &d->digest);
    if (r >= 0)
        r = copy(order->service, &d->service);
    if (r >= 0)
        r = copy(order->project, &d->project);
    if (r >= 0)
        r = deployment_store_turn(d, device_conn_version_floor(s), err);
    if (r < 0)
        deployment_free(d);
    return r;
}

static void on_content(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Deployment *d = userdata;
    d->query = NULL;
    if (r >= 0 && store_rows_count(rows) == 0)
        return;
    if (r >= 0 && (store_rows_copy(rows, 0, 0, &d->compose) < 0 || store_rows_copy(rows, 0, 1, &d->image) < 0 ||
                   store_rows_copy(rows, 0, 2, &d->digest) < 0 || store_rows_copy(rows, 0, 3, &d->service) < 0 ||
                   store_rows_copy(rows, 0, 4, &d->target) < 0 || store_rows_copy(rows, 0, 5, &d->envelope) < 0 ||
                   store_rows_copy(rows, 0, 6, &d->project) < 0))
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
    int r = store_query(d->owner->store, sql_deployment_content(d->id), on_content, d, &d->query, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "cannot send the deployment of %s again", d->device);
    error_done(&err);
}
