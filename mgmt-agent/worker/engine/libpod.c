/* SPDX-License-Identifier: MIT */
/* Podman's REST API: no process, no file, and podman's own reason when something fails. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "compose/engine-check.h"
#include "compose/spec/spec.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "mgmt-agent/worker/engine/engine.h"
#include "mgmt-agent/worker/podman/podman-create.h"
#include "mgmt-agent/worker/podman/podman-stale.h"

static int find_device(const char *path, SpecDevice *ret, void *userdata _unused_, Error *err)
{
    _cleanup_(freep) char *real = realpath(path, NULL);
    struct stat st;

    if (!real || stat(real, &st) < 0)
        return error_set(err, errno, "preflight.device-missing", "the device %s is not there: %m", path);
    if (strchr(real, ':') || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
        return error_set(err, ENOTSUP, "preflight.device-missing",
                         "%s leads to %s, which is no device that podman takes", path, real);
    *ret = (SpecDevice) { TAKE_PTR(real), S_ISBLK(st.st_mode), major(st.st_rdev), minor(st.st_rdev) };
    return 0;
}

static int describe(const EngineContext *w, const ComposeService *s, cJSON **ret, Error *err)
{
    const SpecOptions options = { .image = w->image(s->name, w->userdata),
                                  .version = w->version,
                                  .folder = w->folder,
                                  .bind = w->bind,
                                  .device = find_device,
                                  .userdata = w->userdata };

    return compose_spec(w->project, s, &options, ret, err);
}

/* What podman cannot be told is found out while the old containers run. */
static int stage(const EngineContext *w, const ComposeService *s, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *spec = NULL;
    int r = describe(w, s, &spec, err);

    return r < 0 ? r : engine_check_definitions(w->project, s, err);
}

/* A service that is started in the same breath has seen to it already. */
static bool is_made(const EngineJob *before, size_t n, bool volumes, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strv_contains(volumes ? before[i].service->volumes : before[i].service->networks, key))
            return true;
    return false;
}

/* Those of the i-th job that are the project's own; whether external ones exist has been asked. */
static int make_each(const EngineContext *w, const EngineJob *jobs, size_t i, bool volumes, Error *err)
{
    const cJSON *definitions = volumes ? w->project->volumes : w->project->networks;
    char **keys = volumes ? jobs[i].service->volumes : jobs[i].service->networks;
    int r = 0;

    for (char **key = keys; r == 0 && key && *key; key++) {
        const cJSON *definition = cJSON_GetObjectItemCaseSensitive(definitions, *key);
        const char *name = json_string(definition, "name");
        _cleanup_(cJSON_Deletep) cJSON *spec = NULL;

        if (!name || json_bool(definition, "external", false) || is_made(jobs, i, volumes, *key))
            continue;
        r = volumes ? compose_spec_volume(w->project, definition, &spec, err)
                    : compose_spec_network(w->project, definition, &spec, err);
        if (r == 0)
            r = podman_create(w->podman, volumes ? "volume" : "network", name, spec, err);
    }
    return r;
}

static int not_started(const ComposeService *s, int r, const Error *reason, Error *err)
{
    bool refused = str_equal(error_id(reason), "podman.refused") || str_equal(error_id(reason), "podman.stale");

    return error_set_at(err, r == -ENOENT ? EIO : -r, refused ? "apply.not-started" : error_id(reason), NULL, s->line,
                        s->name, "service %s was not started: %s", s->name, error_message(reason, r));
}

/* By another podman, whose runtime is another. */
static int make_with_runtime(const EngineContext *w, const char *runtime, const cJSON *spec, char **ret_id, Error *err)
{
    _cleanup_(podman_freep) Podman *other = NULL;
    int r = podman_open_runtime(w->user, runtime, &other, err);

    return r < 0 ? r : podman_create_container(other, spec, ret_id, err);
}

/* Containers that are made at the same time, and then started at the same time. */
typedef struct Wave {
    const EngineContext *w;
    EngineJob *jobs;
    size_t n;
    cJSON *specs[ENGINE_PARALLEL_MAX];
    char *ids[ENGINE_PARALLEL_MAX];
    Error reasons[ENGINE_PARALLEL_MAX];
    int results[ENGINE_PARALLEL_MAX];
} Wave;

static void wave_done(Wave *v)
{
    for (size_t i = 0; i < v->n; i++) {
        cJSON_Delete(v->specs[i]);
        free(v->ids[i]);
        error_done(&v->reasons[i]);
    }
}

/* The first that failed. */
static int wave_judge(const Wave *v, Error *err)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->results[i] < 0)
            return not_started(v->jobs[i].service, v->results[i], &v->reasons[i], err);
    return 0;
}

static int wave_make(Wave *v, Error *err)
{
    const char *runtime = json_string(v->jobs[0].service->config, "runtime");
    int r = 0;

    for (size_t i = 0; i < v->n; i++)
        v->results[i] = describe(v->w, v->jobs[i].service, &v->specs[i], &v->reasons[i]);
    r = wave_judge(v, err);
    if (r == 0 && runtime)
        v->results[0] = make_with_runtime(v->w, runtime, v->specs[0], &v->ids[0], &v->reasons[0]);
    else if (r == 0)
        r = podman_create_containers(v->w->podman, v->specs, v->n, v->ids, v->reasons, v->results);
    return r < 0 ? r : wave_judge(v, err);
}

/* One that podman refuses is started once more by itself: that mends what a killed podman has left, or says why. */
static int wave_start(Wave *v, Error *err)
{
    bool together = v->n > 1 && !podman_is_outlived(v->w->podman);
    int r = together ? podman_start_all_new(v->w->podman, v->ids, v->n, v->results) : 0;

    for (size_t i = 0; r == 0 && i < v->n; i++)
        if (!together || v->results[i] < 0)
            v->results[i] = podman_start_over_stale(v->w->podman, v->w->user, v->ids[i], podman_start_new,
                                                    &v->jobs[i].output, &v->reasons[i]);
    return r < 0 ? r : wave_judge(v, err);
}

/* How many of the next go together. The first of all goes alone where podman makes its user's network for it, and so does one
 * that another runtime makes. */
static size_t wave_size(const EngineContext *w, const EngineJob *jobs, size_t n, bool first)
{
    size_t most = w->parallel < ENGINE_PARALLEL_MAX ? w->parallel : ENGINE_PARALLEL_MAX, size = 0;

    if (most < 1 || (first && w->user->uid != 0))
        most = 1;
    while (size < n && size < most && (size == 0 || !json_string(jobs[0].service->config, "runtime")) &&
           (size == 0 || !json_string(jobs[size].service->config, "runtime")))
        size++;
    return size;
}

static int start(const EngineContext *w, EngineJob *jobs, size_t n, bool first, Error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        _cleanup_(error_done) Error reason = {};

        r = make_each(w, jobs, i, false, &reason);
        if (r == 0)
            r = make_each(w, jobs, i, true, &reason);
        if (r < 0)
            return not_started(jobs[i].service, r, &reason, err);
    }
    for (size_t i = 0; r == 0 && i < n;) {
        _cleanup_(wave_done) Wave v = { .w = w, .jobs = jobs + i, .n = wave_size(w, jobs + i, n - i, first && i == 0) };

        r = wave_make(&v, err);
        if (r == 0)
            r = wave_start(&v, err);
        i += v.n;
    }
    return r;
}

const Engine engine_libpod = { .name = ENGINE_LIBPOD, .stage = stage, .start = start };
