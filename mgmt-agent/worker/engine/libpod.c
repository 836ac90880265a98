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

typedef int (*describe_t)(const ComposeProject *p, const cJSON *definition, cJSON **ret, Error *err);

/* Those that are the project's own; whether external ones exist has been asked. */
static int make_each(const EngineContext *w, const char *kind, char *const *keys, const cJSON *definitions,
                     describe_t body_of, Error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && keys && keys[i]; i++) {
        const cJSON *definition = cJSON_GetObjectItemCaseSensitive(definitions, keys[i]);
        const char *name = json_string(definition, "name");
        _cleanup_(cJSON_Deletep) cJSON *spec = NULL;

        if (!name || json_bool(definition, "external", false))
            continue;
        r = body_of(w->project, definition, &spec, err);
        if (r == 0)
            r = podman_create(w->podman, kind, name, spec, err);
    }
    return r;
}

static int make(const EngineContext *w, const ComposeService *s, char **ret_said, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *spec = NULL;
    _cleanup_(podman_freep) Podman *other = NULL;
    _cleanup_(freep) char *id = NULL;
    const char *runtime = json_string(s->config, "runtime");
    int r = make_each(w, "network", s->networks, w->project->networks, compose_spec_network, err);

    if (r == 0)
        r = make_each(w, "volume", s->volumes, w->project->volumes, compose_spec_volume, err);
    if (r == 0)
        r = describe(w, s, &spec, err);
    if (r == 0 && runtime)
        r = podman_open_runtime(w->user, runtime, &other, err);
    if (r == 0)
        r = podman_create_container(other ? other : w->podman, spec, &id, err);
    return r < 0 ? r : podman_start_over_stale(w->podman, w->user, id, podman_start_new, ret_said, err);
}

static int start(const EngineContext *w, EngineJob *jobs, size_t n, bool first _unused_, Error *err)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_(error_done) Error reason = {};
        int r = make(w, jobs[i].service, &jobs[i].output, &reason);
        bool refused = str_equal(error_id(&reason), "podman.refused") || str_equal(error_id(&reason), "podman.stale");

        if (r < 0)
            return error_set_at(err, r == -ENOENT ? EIO : -r, refused ? "apply.not-started" : error_id(&reason), NULL,
                                jobs[i].service->line, jobs[i].service->name, "service %s was not started: %s",
                                jobs[i].service->name, error_message(&reason, r));
    }
    return 0;
}

const Engine engine_libpod = { .name = ENGINE_LIBPOD, .stage = stage, .start = start };
