/* SPDX-License-Identifier: MIT */
/* By systemd-run(1): it hands over the descriptors, and tells how the unit ended. */
#include "mgmt-agent/agent/worker-unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/worker-request.h"

#define OUR_UNIT "mgmt-agent.service"

bool worker_unit_is_needed(void)
{
    _cleanup_(freep) char *unit = NULL;

    return sd_booted() > 0 && str_empty(paths_root()) && sd_pid_get_unit(0, &unit) >= 0 && str_equal(unit, OUR_UNIT);
}

int worker_unit_argv(char ***argv, const char *job)
{
    static const char *const fixed[] = {
        "/usr/bin/systemd-run",
        "--quiet",
        "--system",
        "--no-ask-password",
        "--pipe",
        "--wait",
        "--collect",
        "--service-type=exec",
        ("--setenv=" LOG_RELAY_VARIABLE "=1"),
        /* conmon and the containers stay when the worker has ended, unlimited, and whatever happens to one of them */
        "--property=KillMode=process",
        "--property=TasksMax=infinity",
        "--property=OOMPolicy=continue",
        "--property=LimitCORE=0:infinity",
        "--property=TimeoutStopSec=20",
        /* a job a minute is nothing that the journal must tell */
        "--property=LogLevelMax=notice",
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ELEMENTSOF(fixed); i++)
        r = strv_add(argv, fixed[i]);
    if (r == 0)
        r = strv_addf(argv, "--description=SecBox: %s", job);
    /* a name of its own: what podman left in the unit of an earlier job keeps that one's name in use */
    if (r == 0)
        r = strv_addf(argv, "--unit=mgmt-worker-%s-%llu.service", job, (unsigned long long) boottime_usec());
    if (r == 0 && getenv("SECBOX_LOG"))
        r = strv_add(argv, "--setenv=SECBOX_LOG");
    return r == 0 ? strv_add(argv, "--") : r;
}

cJSON *worker_unit_request(const cJSON *request)
{
    _cleanup_(cJSON_Deletep) cJSON *copy = cJSON_Duplicate(request, 1);
    cJSON *variables = cJSON_CreateArray();

    if (json_add_item(copy, WORKER_ENVIRONMENT, variables) < 0)
        return NULL;
    for (char *const *v = environ; v && *v; v++)
        if (json_append(variables, cJSON_CreateString(*v)) < 0)
            return NULL;
    return TAKE_PTR(copy);
}
