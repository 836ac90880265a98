/* SPDX-License-Identifier: MIT */
/* What engines prepare for each changing service. Files that podman-compose and podman read stand in a folder of the podman user
 * on a memory file system. The files are gone when the deployment is over. The folder itself must stay:
 * podman-compose works in it, conmon inherits that, and a conmon without a working folder cannot restart its container. */

#include "mgmt-agent/worker/phases/stage.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/binds.h"
#include "mgmt-agent/worker/phases/report.h"

#define STAGE_DIR RUN_DIR "/compose"

static const char *image_of(const char *service, void *userdata)
{
    const Deploy *d = userdata;

    return map_get(d->target.image_ids, service);
}

static const char *bind_of(const char *source, void *userdata)
{
    return deploy_bind_target(userdata, source);
}

int deploy_lend(Deploy *d, EngineContext *ret)
{
    char *folder = path_in_root(STAGE_DIR);

    *ret = (EngineContext) { .podman = d->box.podman,
                             .driver = &d->box.driver,
                             .user = &d->box.user,
                             .project = d->target.project,
                             .version = d->report.version,
                             .folder = folder,
                             .parallel = d->options->parallel,
                             .image = image_of,
                             .bind = bind_of,
                             .userdata = d };
    return folder ? 0 : -ENOMEM;
}

void deploy_take_back(EngineContext *w)
{
    free((char *) w->folder);
}

const Engine *deploy_engine_of(const Deploy *d, const ComposeService *s, char **ret_why)
{
    const char *setting = d->box.agent_env ? env_get(d->box.agent_env, "COMPOSE_ENGINE") : NULL;

    return engine_for(setting, &d->box.driver, d->target.project, s, ret_why);
}

/* A check that says when and not what is the image's own. The image is here by now; without a check in it there is none. */
static int complete_health(Deploy *d, ComposeService *s, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *image = NULL;
    cJSON *config = cJSON_GetObjectItemCaseSensitive(s->config, "healthcheck");
    const cJSON *test;
    int r;

    if (!config || cJSON_HasObjectItem(config, "test"))
        return 0;
    r = podman_inspect_image(d->box.podman, map_get(d->target.image_ids, s->name), &image, err);
    if (r < 0)
        return r;
    test = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(image, "Healthcheck"), "Test");
    if (cJSON_GetArraySize(test) < 2) {
        report_progress(&d->report, "info", s->name,
                        "the image of %s has no health check, so the file's times have no effect", s->name);
        cJSON_DeleteItemFromObjectCaseSensitive(s->config, "healthcheck");
        cJSON_Delete(TAKE_PTR(s->healthcheck));
        return 0;
    }
    r = json_add_item(config, "test", cJSON_Duplicate(test, true));
    return r < 0 ? r : json_add_item(s->healthcheck, "test", cJSON_Duplicate(test, true));
}

static int stage_service(Deploy *d, ComposeService *s, Error *err)
{
    _cleanup_(deploy_take_back) EngineContext work = {};
    _cleanup_(freep) char *why = NULL;
    int r = deploy_lend(d, &work);

    if (r == 0)
        r = complete_health(d, s, err);
    if (r == 0)
        r = deploy_engine_of(d, s, &why)->stage(&work, s, err);
    return r < 0 ? error_prefix(err, r, "service %s", s->name) : 0;
}

int deploy_stage(Deploy *d, Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(STAGE_DIR);
    int r = folder ? dir_clear(folder, err) : -ENOMEM;

    if (r == 0)
        r = dir_make(folder, 0700, d->box.user.uid, d->box.user.gid, err);
    for (size_t i = 0; r == 0 && i < d->plan->n_steps; i++) {
        const PlanStep *step = &d->plan->steps[i];

        if (step->action == PLAN_CREATE || step->action == PLAN_REPLACE)
            r = stage_service(d, (ComposeService *) compose_service_find(d->target.project, step->service), err);
    }
    return r;
}

void deploy_unstage(Report *report)
{
    _cleanup_(freep) char *folder = path_in_root(STAGE_DIR);
    _cleanup_(error_done) Error err = {};

    if (folder && dir_clear(folder, &err) < 0)
        report_progress(report, "info", NULL, "could not empty %s: %s", folder, error_message(&err, -EIO));
}
