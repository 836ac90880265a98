/* SPDX-License-Identifier: MIT */
/* See deployment.h. */
#include "gateway/deployments/deployment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

void deployment_log(const Deployment *d, LogLevel level, const char *what)
{
    char version[24];
    snprintf(version, sizeof(version), "%" PRIu64, d->version);
    const LogField fields[] = { { "DEVICE", d->device }, { "SNAPSHOT", version }, {} };
    log_line(level, fields, "deployment %s of %s: %s", version, d->device, what);
}

Deployment *deployment_new(Deployments *ds, const char *device)
{
    Deployment *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->owner = ds;
    d->created_at = d->last_word = boottime_usec();
    d->events = cJSON_CreateArray();
    d->device = strdup(device);
    if (!d->events || !d->device || random_id(d->id) < 0 || random_id(d->nonce) < 0 || map_put(ds->open, device, d) < 0)
        return deployment_free(d);
    return d;
}

Deployment *deployment_free(Deployment *d)
{
    if (!d)
        return NULL;
    if (d->device && map_get(d->owner->open, d->device) == d)
        map_take(d->owner->open, d->device);
    store_query_free(d->query);
    cJSON_Delete(d->events);
    cJSON_Delete(d->result);
    free(d->device);
    free(d->compose);
    free(d->image);
    free(d->digest);
    free(d->service);
    free(d->target);
    free(d->project);
    free(d->envelope);
    free(d->rollout);
    free(d);
    return NULL;
}

void deployment_tell(Deployments *ds, const char *device, uint64_t version, bool final)
{
    const DeploymentNews news = { .final = final };
    requests_tell(ds->requests, &news, DEPLOYMENT_TOPIC, device, version);
}
