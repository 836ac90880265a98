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
    const DeployTarget *t = userdata;

    return map_get(t->image_ids, service);
}

static const char *bind_of(const char *source, void *userdata)
{
    const DeployTarget *t = userdata;

    return deploy_bind_target(t->bind_targets, source);
}

int deploy_lend(const Box *box, const DeployTarget *t, const char *version, EngineContext *ret)
{
    char *folder = path_in_root(STAGE_DIR);

    *ret = (EngineContext) { .podman = box->podman,
                             .driver = &box->driver,
                             .user = &box->user,
                             .project = t->project,
                             .version = version,
                             .folder = folder,
                             .parallel = 1,
                             .image = image_of,
                             .bind = bind_of,
                             .userdata = (void *) t };
    return folder ? 0 : -ENOMEM;
}

void deploy_take_back(EngineContext *w)
{
    free((char *) w->folder);
}

const Engine *deploy_engine_of(const Box *box, const ComposeProject *p, const ComposeService *s, char **ret_why)
{
    return engine_for(box_engine_setting(box), &box->driver, p, s, ret_why);
}

/* A check that says when and not what is the image's own. The image is here by now; without a check in it there is none. */
static int complete_health(Podman *podman, const char *image_id, ComposeService *s, Report *report, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *image = NULL;
    cJSON *config = cJSON_GetObjectItemCaseSensitive(s->config, "healthcheck");
    const cJSON *test;
    int r;

    if (!config || cJSON_HasObjectItem(config, "test"))
        return 0;
    r = podman_inspect_image(podman, image_id, &image, err);
    if (r < 0)
        return r;
    test = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(image, "Healthcheck"), "Test");
    if (cJSON_GetArraySize(test) < 2) {
        report_progress(report, "info", s->name,
                        "the image of %s has no health check, so the file's times have no effect", s->name);
        cJSON_DeleteItemFromObjectCaseSensitive(s->config, "healthcheck");
        cJSON_Delete(TAKE_PTR(s->healthcheck));
        return 0;
    }
    r = json_add_item(config, "test", cJSON_Duplicate(test, true));
    return r < 0 ? r : json_add_item(s->healthcheck, "test", cJSON_Duplicate(test, true));
}

static int stage_service(const Box *box, const DeployTarget *t, ComposeService *s, Report *report, Error *err)
{
    _cleanup_(deploy_take_back) EngineContext work = {};
    _cleanup_(freep) char *why = NULL;
    int r = deploy_lend(box, t, report->version, &work);

    if (r == 0)
        r = complete_health(box->podman, map_get(t->image_ids, s->name), s, report, err);
    if (r == 0)
        r = deploy_engine_of(box, t->project, s, &why)->stage(&work, s, err);
    return r < 0 ? error_prefix(err, r, "service %s", s->name) : 0;
}

int deploy_stage(const Box *box, const DeployTarget *t, const Plan *plan, Report *report, Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(STAGE_DIR);
    int r = folder ? dir_clear(folder, err) : -ENOMEM;

    if (r == 0)
        r = dir_make(folder, 0700, box->user.uid, box->user.gid, err);
    for (size_t i = 0; r == 0 && i < plan->n_steps; i++) {
        const PlanStep *step = &plan->steps[i];

        if (step->action == PLAN_CREATE || step->action == PLAN_REPLACE)
            r = stage_service(box, t, (ComposeService *) compose_service_find(t->project, step->service), report, err);
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
