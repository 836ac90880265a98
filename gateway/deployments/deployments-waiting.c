/* SPDX-License-Identifier: MIT */
/* Memory holds only for whom something waits, so that other boxes cost no question to the database. */
#include "gateway/deployments/deployments-waiting.h"

#include <errno.h>
#include <string.h>

#include "gateway/deployments/deployment.h"
#include "gateway/store/waiting-table.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "lib/data/json.h"

void deployments_forget_waiting(Deployments *ds, const char *device)
{
    map_remove(ds->waiting, device);
}

int deployments_expect_waiting(Deployments *ds, const char *device)
{
    return map_put(ds->waiting, device, ds);
}

void deployments_expect_templates(Deployments *ds)
{
    ds->has_templates = true;
}

static void take(Deployments *ds, const DeviceConn *s, bool blank)
{
    _cleanup_(error_done) Error err = {};
    const char *device = device_conn_device(s);
    Deployment *d = deployment_new(ds, device);
    int r = d ? deployment_store_waiting(d, s, blank, &err) : -ENOMEM;

    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "what waits for %s is not sent yet", device);
        deployment_free(d);
    }
}

void deployments_take_waiting(Deployments *ds, const DeviceConn *s, const cJSON *status)
{
    bool blank = !cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(status, "current"));
    bool busy = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(status, "pending"));

    if (!busy && (map_get(ds->waiting, device_conn_device(s)) || (blank && ds->has_templates)))
        take(ds, s, blank);
}

int deployments_adopt_waiting(Deployments *ds, const StoreRows *rows)
{
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        const char *device = store_rows_get(rows, i, 0);

        if (!device) {
            ds->has_templates = true;
            continue;
        }
        if (deployments_expect_waiting(ds, device) < 0)
            return -ENOMEM;
        const DeviceConn *s = device_conn_find(ds->conns, device, ROLE_MGMT);
        if (s && device_conn_agent_spoke(s) && !map_get(ds->open, device))
            take(ds, s, false);
    }
    return 0;
}

bool deployment_waits(Deployments *ds, Request *c, const DeploymentRequest *request)
{
    char sha256[SHA256_HEX_SIZE] = "";

    if (!request->may_wait || !request->compose || device_conn_find(ds->conns, c->args[0], ROLE_MGMT))
        return false;
    if (bundle_snapshot_digest(request->compose, request->bundle, sha256) < 0 ||
        deployments_expect_waiting(ds, c->args[0]) < 0) {
        request_fail(c, -ENOMEM, NULL);
        return true;
    }
    const NewDeployment row = {
        .device = c->args[0],
        .compose = request->compose,
        .sha256 = sha256,
        .digest = request->bundle,
        .actor = c->actor,
        .reason = request->reason,
        .envelope = request->envelope,
        .project = request->project,
        .confirm_deadline = request->confirm_deadline,
    };
    request_query(c, sql_waiting_put(&row), request->on_waits);
    return true;
}
