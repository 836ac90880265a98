/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/engine/engine.h"

#include <errno.h>
#include <string.h>

#include "compose/engine-check.h"
#include "lib/base/strv.h"

const Engine *engine_for(const char *setting, const Driver *driver, const ComposeProject *p, const ComposeService *s,
                         char **ret_why)
{
    const char *name = setting ? setting : ENGINE_DEFAULT;
    _cleanup_(error_done) Error reason = {};
    int r;

    *ret_why = NULL;
    if (str_equal(name, ENGINE_PODMAN_COMPOSE))
        return &engine_podman_compose;
    if (!str_equal(name, ENGINE_AUTO))
        return &engine_libpod;
    r = engine_check_podman_compose(p, s, &reason);
    if (r < 0) {
        *ret_why = strdup(error_message(&reason, r));
        return &engine_libpod;
    }
    /* 1.0 waits a second for each container */
    if (driver->strategy != STRATEGY_CLASSIC || engine_check_libpod(p, s, NULL) < 0)
        return &engine_podman_compose;
    *ret_why = str_format("podman-compose %s waits a second for each container", driver->version);
    return &engine_libpod;
}
