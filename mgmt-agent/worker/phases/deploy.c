/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/deploy.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

void deploy_done(Deploy *d)
{
    free(d->id);
    free(d->version);
    free(d->text);
    free(d->sha256);
    free(d->nonce);
    strv_free(d->only);
    strv_free(d->again);
    free(d->failed_log);
    env_free(d->agent_env);
    env_free(d->env);
    compose_file_free(d->file);
    policy_free(d->policy);
    compose_project_free(d->project);
    compose_project_free(d->previous);
    cJSON_Delete(d->current);
    podman_free(d->podman);
    podman_user_done(&d->user);
    driver_done(&d->driver);
    map_free(d->bind_targets);
    map_free(d->image_ids);
    map_free(d->proved);
    observed_free_all(d->observed, d->n_observed);
    plan_free(d->plan);
    journal_done(&d->journal);
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

    d->from_cloud = str_equal(json_string(request, "source"), "cloud");
    d->id = copy_member(message, "id", "");
    d->version = copy_member(message, "version", "0");
    d->text = copy_member(message, "compose", "");
    d->nonce = copy_member(message, "nonce", NULL);
    *ret_message = message;
    return d->id && d->version && d->text ? 0 : -ENOMEM;
}

const JournalStep *deploy_change_of(const Deploy *d, const char *service)
{
    for (size_t i = 0; i < d->journal.n_steps; i++)
        if (str_equal(d->journal.steps[i].service, service) && !str_equal(d->journal.steps[i].action, "remove"))
            return &d->journal.steps[i];
    return NULL;
}
