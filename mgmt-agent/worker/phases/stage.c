/* SPDX-License-Identifier: MIT */
/* The files that podman-compose and podman read: one compose file and one env file per changing service, in a folder of
 * the podman user on a memory file system. The files are gone when the deployment is over. The folder itself must stay:
 * podman-compose works in it, conmon inherits that, and a conmon without a working folder cannot restart its container. */

#include "mgmt-agent/worker/phases/stage.h"

#include <errno.h>
#include <string.h>

#include "compose/render/render.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/binds.h"
#include "mgmt-agent/worker/phases/report.h"

#define STAGE_DIR RUN_DIR "/compose"

char *deploy_stage_path(const char *service, const char *suffix)
{
    _cleanup_(freep) char *folder = path_in_root(STAGE_DIR);

    return folder ? str_format("%s/%s%s", folder, service, suffix) : NULL;
}

/* One service at a time is rendered, so one path is enough. */
typedef struct StageContext {
    Deploy *deploy;
    const char *env_path;
} StageContext;

static const char *context_image(const char *service, void *userdata)
{
    const StageContext *c = userdata;

    return map_get(c->deploy->target.image_ids, service);
}

static const char *context_env_file(const char *service, void *userdata)
{
    const StageContext *c = userdata;

    (void) service;
    return c->deploy->box.driver.strategy == STRATEGY_CLASSIC ? c->env_path : NULL;
}

static const char *context_bind(const char *source, void *userdata)
{
    const StageContext *c = userdata;

    return deploy_bind_target(c->deploy, source);
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
    _cleanup_(freep) char *file_path = deploy_stage_path(s->name, ".yml");
    _cleanup_(freep) char *env_path = deploy_stage_path(s->name, ".env");
    _cleanup_(secret_freep) char *env_text = NULL;
    _cleanup_(freep) char *file_text = NULL;
    const char *only[] = { s->name, NULL };
    StageContext context = { d, env_path };
    RenderOptions options = { .services = only,
                              .version = d->report.version,
                              .image = context_image,
                              .env_file = context_env_file,
                              .bind = context_bind,
                              .run_args = true,
                              .userdata = &context };
    int r;

    if (!file_path || !env_path)
        return -ENOMEM;
    r = complete_health(d, s, err);
    if (r == 0)
        r = compose_render(d->target.project, &options, &file_text, err);
    if (r == 0)
        r = compose_render_env(s, &env_text, err);
    if (r == 0)
        r = file_write_atomic(env_path, env_text, strlen(env_text), 0600, d->box.user.uid, d->box.user.gid, err);
    if (r == 0)
        r = file_write_atomic(file_path, file_text, strlen(file_text), 0600, d->box.user.uid, d->box.user.gid, err);
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
