/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/deploy.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/snapshot-store.h"

void deploy_done(Deploy *d)
{
    free(d->report.id);
    free(d->report.version);
    free(d->order.text);
    free(d->order.sha256);
    free(d->order.nonce);
    free(d->order.bundle);
    free(d->order.bundle_key);
    kept_bundle_free(d->target.bundle);
    strv_free(d->order.only);
    strv_free(d->order.again);
    free(d->proof.failed_log);
    box_done(&d->box);
    env_free(d->target.env);
    compose_file_free(d->target.file);
    policy_free(d->target.policy);
    compose_project_free(d->target.project);
    compose_project_free(d->before.project);
    current_free(d->before.current);
    map_free(d->target.made);
    map_free(d->target.bind_targets);
    map_free(d->target.image_ids);
    map_free(d->proof.inspections);
    observed_free_all(d->before.observed, d->before.n_observed);
    plan_free(d->plan);
    journal_done(&d->journal);
    explicit_bzero(d->target.seal_key, sizeof(d->target.seal_key));
    *d = (Deploy) {};
}

static char *copy_member(const cJSON *o, const char *key, const char *fallback)
{
    const char *s = json_string(o, key);

    return s ? strdup(s) : fallback ? strdup(fallback) : NULL;
}

int deploy_take_message(Deploy *d, const cJSON *request, const cJSON **ret_message)
{
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(request, "message");

    d->order.from_cloud = str_equal(json_string(request, "source"), "cloud");
    d->report.id = copy_member(message, "id", "");
    d->report.version = copy_member(message, "version", "0");
    d->order.text = copy_member(message, "compose", "");
    d->order.nonce = copy_member(message, "nonce", NULL);
    *ret_message = message;
    return d->report.id && d->report.version && d->order.text ? 0 : -ENOMEM;
}

int deploy_take_bundle(DeployOrder *order, const cJSON *snapshot, Error *err)
{
    const char *digest = NULL;
    int r = bundle_of_snapshot(snapshot, &digest, err);

    if (r < 0 || !digest)
        return r;
    free(order->bundle);
    free(order->bundle_key);
    order->bundle = strdup(digest);
    order->bundle_key = copy_member(cJSON_GetObjectItemCaseSensitive(snapshot, "bundle"), "key", NULL);
    return order->bundle ? 0 : -ENOMEM;
}

const JournalStep *deploy_change_of(const Journal *j, const char *service)
{
    for (size_t i = 0; i < j->n_steps; i++)
        if (str_equal(j->steps[i].service, service) && !str_equal(j->steps[i].action, "remove"))
            return &j->steps[i];
    return NULL;
}
