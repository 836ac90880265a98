/* SPDX-License-Identifier: MIT */
/* systemd-run(1) hands the script over to systemd and ends: what it starts outlives us. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/package-update-impl.h"
#include "mgmt-agent/agent/worker-unit.h"

#define SCRIPT "/usr/lib/secbox/package-update"
#define RUN_UNIT "secbox-package-update.service"
#define VERDICT_UNIT "secbox-package-verdict.service"
#define START_TIMEOUT (2 * USEC_PER_MINUTE)

static void on_line(Process *process _unused_, ProcessStream stream _unused_, const char *line, void *userdata)
{
    PackageUpdate *p = userdata;

    if (!p->starter_said)
        p->starter_said = strdup(line);
}

static void on_done(Process *process _unused_, int status, bool timed_out, void *userdata)
{
    PackageUpdate *p = userdata;
    _cleanup_(freep) char *said = TAKE_PTR(p->starter_said), *ended = process_status_string(status, timed_out);
    _cleanup_(error_done) Error err = {};
    int r = 0;

    p->starter = process_free(p->starter);
    if (timed_out || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        r = error_set(&err, EIO, "agent-update.start", "systemd did not start the package update: %s",
                      said    ? said
                      : ended ? ended
                              : "unknown");
    package_start_ended(p, r < 0 ? &err : NULL, r);
}

static int start(PackageUpdate *p, const char *unit, const char *const *words, Error *err)
{
    static const char *const fixed[] = {
        "/usr/bin/systemd-run",
        "--quiet",
        "--system",
        "--no-ask-password",
        "--collect",
        "--service-type=exec",
        "--property=RuntimeMaxSec=3h",
        "--property=TimeoutStopSec=10min",
        "--property=OOMPolicy=continue",
        "--description=SecBox: package update",
    };
    _cleanup_(strv_freep) char **argv = NULL;
    int r = 0;

    if (!worker_unit_is_needed() || access(SCRIPT, X_OK) < 0)
        return error_set(err, EOPNOTSUPP, "agent-update.no-package",
                         "mgmt-agent is not here as a service of the package secbox-agent, so no package is updated");
    if (p->starter)
        return error_set(err, EBUSY, "agent.busy", "a package update is being started already");
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(fixed); i++)
        r = strv_add(&argv, fixed[i]);
    if (r >= 0)
        r = strv_addf(&argv, "--unit=%s", unit);
    if (r >= 0)
        r = strv_add(&argv, "--");
    if (r >= 0)
        r = strv_add(&argv, SCRIPT);
    for (; r >= 0 && *words; words++)
        r = strv_add(&argv, *words);
    const ProcessSpec spec = { .argv = (const char *const *) argv, .timeout_usec = START_TIMEOUT };
    return r < 0 ? r : process_spawn(p->agent->event, &spec, on_line, on_done, p, &p->starter, err);
}

int package_start_run(PackageUpdate *p, const UpdateRequest *run, Error *err)
{
    _cleanup_(freep) char *plan = str_format("%u", run->plan), *seconds = str_format("%u", run->seconds);
    const char *const words[] = {
        "run", run->package, run->to, run->id, run->number, run->next ? run->next : "", run->tunnel ? "1" : "0",
        plan,  seconds,      NULL
    };

    return plan && seconds ? start(p, RUN_UNIT, words, err) : -ENOMEM;
}

int package_start_verdict(PackageUpdate *p, const char *verb, const char *package, Error *err)
{
    const char *const words[] = { verb, package, NULL };

    return start(p, VERDICT_UNIT, words, err);
}
