/* SPDX-License-Identifier: MIT */
/* podman-compose, one run for each service, with a compose file and an env file that hold this service alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compose/engine-check.h"
#include "compose/render/render.h"
#include "compose/render/run-args.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "mgmt-agent/worker/engine/engine.h"
#include "mgmt-agent/worker/podman/podman-create.h"
#include "mgmt-agent/worker/podman/podman-stale.h"

static char *path_of(const EngineContext *w, const char *service, const char *suffix)
{
    return str_format("%s/%s%s", w->folder, service, suffix);
}

/* One service at a time is rendered, so one path is enough. */
typedef struct Staging {
    const EngineContext *work;
    const char *env_path;
} Staging;

static const char *staged_image(const char *service, void *userdata)
{
    const Staging *c = userdata;

    return c->work->image(service, c->work->userdata);
}

static const char *staged_env_file(const char *service _unused_, void *userdata)
{
    const Staging *c = userdata;

    return c->work->driver->strategy == STRATEGY_CLASSIC ? c->env_path : NULL;
}

static const char *staged_bind(const char *source, void *userdata)
{
    const Staging *c = userdata;

    return c->work->bind(source, c->work->userdata);
}

static int write_for_user(const EngineContext *w, const char *path, const char *text, Error *err)
{
    return file_write_atomic(path, text, strlen(text), 0600, w->user->uid, w->user->gid, err);
}

static int stage(const EngineContext *w, const ComposeService *s, Error *err)
{
    _cleanup_(freep) char *file_path = path_of(w, s->name, ".yml");
    _cleanup_(freep) char *env_path = path_of(w, s->name, ".env");
    _cleanup_(secret_freep) char *env_text = NULL;
    _cleanup_(freep) char *file_text = NULL;
    const char *only[] = { s->name, NULL };
    Staging staging = { w, env_path };
    const RenderOptions options = { .services = only,
                                    .version = w->version,
                                    .image = staged_image,
                                    .env_file = staged_env_file,
                                    .bind = staged_bind,
                                    .run_args = true,
                                    .userdata = &staging };
    int r = file_path && env_path ? compose_render(w->project, &options, &file_text, err) : -ENOMEM;

    if (r == 0)
        r = compose_render_env(s, &env_text, err);
    if (r == 0)
        r = write_for_user(w, env_path, env_text, err);
    if (r == 0)
        r = write_for_user(w, file_path, file_text, err);
    return r;
}

/* A container that podman-compose claims to have started, as podman sees it. */
static int check_created(const EngineContext *w, EngineJob *job, DriverJob *run, Error *err)
{
    const char *container = job->service->container_name, *status = NULL;
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(error_done) Error reason = {};
    _cleanup_(freep) char *why = NULL, *mended = NULL;
    int r = podman_inspect(w->podman, container, &info, &reason);

    if (r == 0)
        status = json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status");
    if (r < 0 && r != -ENOENT)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    if (r == 0 && !str_equal(status, "created") && !str_equal(status, "configured"))
        return 0;
    why = driver_reason(run->output);
    if (r == 0 && why && podman_stale_state(why, json_string(info, "Id")) != STALE_NONE &&
        podman_start_over_stale(w->podman, w->user, container, podman_start_new, &mended, &reason) == 0) {
        job->output = TAKE_PTR(mended);
        return 0;
    }
    job->output = TAKE_PTR(run->output);
    return error_set_at(err, EIO, "apply.not-started", NULL, job->service->line, job->service->name,
                        "podman-compose did not start service %s: %s%scontainer %s is %s", job->service->name,
                        why ? why : "", why ? "; " : "", container, status ? status : "missing");
}

static int make_runs(const EngineContext *w, const EngineJob *jobs, size_t n, DriverJob *runs)
{
    for (size_t i = 0; i < n; i++) {
        runs[i].service = jobs[i].service->name;
        runs[i].file = path_of(w, runs[i].service, ".yml");
        runs[i].env_file = path_of(w, runs[i].service, ".env");
        if (!runs[i].file || !runs[i].env_file || compose_render_run_args(jobs[i].service, &runs[i].run_args) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int start(const EngineContext *w, EngineJob *jobs, size_t n, bool first, Error *err)
{
    _cleanup_(freep) DriverJob *runs = calloc(n + 1, sizeof(*runs));
    int r = runs ? make_runs(w, jobs, n, runs) : -ENOMEM;

    if (r == 0)
        r = driver_up_all(w->driver, w->user, w->project->name, runs, n, w->parallel, first, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = check_created(w, &jobs[i], &runs[i], err);
    for (size_t i = 0; runs && i < n; i++) {
        free((char *) runs[i].file);
        free((char *) runs[i].env_file);
        strv_free(runs[i].run_args);
        free(runs[i].output);
    }
    return r;
}

const Engine engine_podman_compose = { .name = ENGINE_PODMAN_COMPOSE, .stage = stage, .start = start };
