/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/engine/engine.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

int engine_check(const char *setting, const ComposeProject *p, const ComposeService *s, Error *err)
{
    const char *name = setting ? setting : ENGINE_DEFAULT;

    if (str_equal(name, engine_podman_compose.name))
        return engine_podman_compose.can(p, s, err);
    if (str_equal(name, ENGINE_AUTO) && engine_podman_compose.can(p, s, NULL) == 0)
        return 0;
    return engine_libpod.can(p, s, err);
}

const Engine *engine_for(const char *setting, const Driver *driver, const ComposeProject *p, const ComposeService *s,
                         char **ret_why)
{
    const char *name = setting ? setting : ENGINE_DEFAULT;
    _cleanup_(error_done) Error reason = {};
    int r;

    *ret_why = NULL;
    if (str_equal(name, engine_podman_compose.name))
        return &engine_podman_compose;
    if (!str_equal(name, ENGINE_AUTO))
        return &engine_libpod;
    r = engine_podman_compose.can(p, s, &reason);
    if (r < 0) {
        *ret_why = strdup(error_message(&reason, r));
        return &engine_libpod;
    }
    /* 1.0 waits a second for each container */
    if (driver->strategy != STRATEGY_CLASSIC)
        return &engine_podman_compose;
    *ret_why = str_format("podman-compose %s waits a second for each container", driver->version);
    return &engine_libpod;
}
