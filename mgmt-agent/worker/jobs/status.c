/* SPDX-License-Identifier: MIT */
/* What runs, in podman's words: the part of status.report that needs podman. */

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/phases/report.h"

/* Of two boxes, whether the same runs on both: names of images are moved. */
static int add_image(Deploy *d, cJSON *o, const char *id)
{
    _cleanup_(local_image_done) LocalImage local = {};

    if (str_empty(id) || podman_image_digests(d->box.podman, id, &local, NULL) < 0)
        return 0;
    return json_add_string(o, "imageId", local.id) < 0 || json_add_string(o, "imageDigest", local.digest) < 0 ? -ENOMEM
                                                                                                              : 0;
}

static int add_service(Deploy *d, cJSON *services, const ObservedContainer *c)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    cJSON *o = cJSON_CreateObject();
    const cJSON *state, *restarts, *code;
    const char *health;

    if (podman_inspect(d->box.podman, c->id, &info, NULL) < 0)
        info = NULL;
    state = cJSON_GetObjectItemCaseSensitive(info, "State");
    health = json_string(cJSON_GetObjectItemCaseSensitive(state, "Health"), "Status");
    restarts = cJSON_GetObjectItemCaseSensitive(info, "RestartCount");
    code = cJSON_GetObjectItemCaseSensitive(state, "ExitCode");
    if (!o || json_append(services, o) < 0 || json_add_string(o, "name", c->service) < 0 ||
        json_add_string(o, "container", c->name) < 0 || json_add_string(o, "id", c->id) < 0 ||
        json_add_string(o, "image", json_string(info, "ImageName")) < 0 || json_add_string(o, "state", c->state) < 0 ||
        json_add_string(o, "health", health) < 0 || add_image(d, o, json_string(info, "Image")) < 0)
        return -ENOMEM;
    if (cJSON_IsNumber(restarts) && json_add_int(o, "restarts", restarts->valueint) < 0)
        return -ENOMEM;
    return cJSON_IsNumber(code) && !str_equal(c->state, "running") ? json_add_int(o, "exitCode", code->valueint) : 0;
}

static int add_podman(Deploy *d, cJSON *o)
{
    cJSON *podman = cJSON_CreateObject(), *driver = cJSON_CreateObject(), *services = cJSON_CreateArray();
    const char *store = NULL;

    if (podman_graphroot(d->box.podman, &store, NULL) < 0)
        store = NULL;
    if (json_add_item(o, "podman", podman) < 0 || json_add_item(o, "podmanCompose", driver) < 0 ||
        json_add_item(o, "services", services) < 0 || json_add_string(o, "podmanUser", d->box.user.name) < 0 ||
        json_add_string(podman, "version", podman_version(d->box.podman)) < 0 ||
        json_add_string(podman, "graphRoot", store) < 0 ||
        json_add_string(driver, "version", d->box.driver.version) < 0 ||
        json_add_string(driver, "strategy", driver_strategy_to_string(d->box.driver.strategy)) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < d->before.n_observed; i++)
        if (d->before.observed[i].service && add_service(d, services, &d->before.observed[i]) < 0)
            return -ENOMEM;
    return 0;
}

/* The others: what runs of each, in short. */
static int add_project(Deploy *d, cJSON *list, const char *name)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(name);
    _cleanup_(current_freep) Current *current = NULL;
    cJSON *o = cJSON_CreateObject(), *services = cJSON_CreateArray();
    ObservedContainer *all = NULL;
    char at[TIMESTAMP_SIZE];
    size_t n = 0;
    int r = json_append(list, o), k = json_add_item(o, "services", services);

    if (r < 0 || k < 0 || json_add_string(o, "name", name) < 0)
        return -ENOMEM;
    if (current_load(&current, NULL) == 0 && current &&
        (json_add_string(o, "version", current->version) < 0 ||
         (current->at > 0 && json_add_string(o, "at", timestamp_format(current->at, at)) < 0)))
        return -ENOMEM;
    if (project_is_stopped())
        r = json_add_bool(o, "stopped", true);
    if (r == 0 && podman_list(d->box.podman, name, &all, &n, NULL) < 0)
        n = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        if (all[i].service)
            r = add_service(d, services, &all[i]);
    observed_free_all(all, n);
    return r;
}

static int add_projects(Deploy *d, cJSON *o)
{
    _cleanup_(strv_freep) char **others = NULL;
    cJSON *list;
    int r = project_is_own() ? project_list(&others) : 0;

    if (r < 0 || !others)
        return r;
    list = cJSON_AddArrayToObject(o, "projects");
    r = list ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && others[i]; i++)
        r = add_project(d, list, others[i]);
    return r;
}

/* Prints one line {"type": "worker.status", …}; with an `error` member when podman cannot be asked. */
int job_status(Deploy *d, const cJSON *request)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    int r = o ? 0 : -ENOMEM;

    (void) request;
    /* a broken mgmt-agent.env is reported by `env`; podman can be asked all the same */
    (void) box_try_env(&d->box);
    if (r == 0)
        r = box_open(&d->box, d->options->podman_compose, &err);
    if (r == 0)
        r = podman_list(d->box.podman, project_selected(), &d->before.observed, &d->before.n_observed, &err);
    if (r == 0)
        r = add_podman(d, o);
    if (r == 0)
        r = add_projects(d, o);
    if (r < 0 && (!o || json_add_item(o, "error", json_from_error(&err, r)) < 0))
        return 1;
    if (json_add_string(o, "type", "worker.status") < 0)
        return 1;
    report_emit(o);
    return r < 0;
}
