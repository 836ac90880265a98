/* SPDX-License-Identifier: MIT */
/* systemd-run(1) hands the script over to systemd and ends: what it starts outlives us. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/package-update-impl.h"
#include "mgmt-agent/agent/worker-unit.h"

#define SCRIPT "/usr/lib/secbox/package-update"
#define DPKG_LIST "/var/lib/dpkg/info/" AGENT_PACKAGE ".list"
#define RUN_UNIT "secbox-package-update.service"
#define VERDICT_UNIT "secbox-package-verdict.service"
/* An order has begun when the script has written its journal: until then systemd-run waits, and fails when the script ends. */
#define RUN_TYPE "notify"
#define VERDICT_TYPE "exec"
#define START_TIMEOUT (12 * USEC_PER_MINUTE)

static void on_line(Process *process _unused_, ProcessStream stream _unused_, const char *line, void *userdata)
{
    PackageUpdate *p = userdata;

    if (!p->starter_said)
        p->starter_said = strdup(line);
}

int package_start_failed(PackageStep what, const char *why, Error *err)
{
    switch (what) {
    case PACKAGE_STEP_ORDER:
        return error_set(err, EIO, "agent-update.start",
                         "the package update did not begin, and nothing was changed: %s; `journalctl -u " RUN_UNIT
                         "` on the box tells why",
                         why);
    case PACKAGE_STEP_SECOND:
        return error_set(err, EIO, "agent-update.start",
                         "the update of the second package did not begin, the first one stays updated: %s; "
                         "`journalctl -u " RUN_UNIT "` on the box tells why",
                         why);
    case PACKAGE_STEP_VERDICT:
        break;
    }
    return error_set(err, EIO, "agent-update.start",
                     "the new version is neither kept nor taken back yet: %s; `journalctl -u " VERDICT_UNIT
                     "` on the box tells why",
                     why);
}

static void on_done(Process *process _unused_, int status, bool timed_out, void *userdata)
{
    PackageUpdate *p = userdata;
    _cleanup_(freep) char *said = TAKE_PTR(p->starter_said), *ended = process_status_string(status, timed_out);
    _cleanup_(error_done) Error err = {};
    int r = 0;

    p->starter = process_free(p->starter);
    if (timed_out || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        r = package_start_failed(p->starts, said ? said : ended ? ended : "no reason is known", &err);
    package_start_ended(p, r < 0 ? &err : NULL, r);
}

bool package_start_is_possible(void)
{
    _cleanup_(freep) char *list = path_in_root(DPKG_LIST);

    return worker_unit_is_needed() && access(SCRIPT, X_OK) == 0 && list && access(list, F_OK) == 0;
}

static int start(PackageUpdate *p, PackageStep what, const char *const *words, Error *err)
{
    const char *unit = what == PACKAGE_STEP_VERDICT ? VERDICT_UNIT : RUN_UNIT;
    const char *type = what == PACKAGE_STEP_VERDICT ? VERDICT_TYPE : RUN_TYPE;
    static const char *const fixed[] = {
        "/usr/bin/systemd-run",
        "--quiet",
        "--system",
        "--no-ask-password",
        "--collect",
        "--property=NotifyAccess=all",
        "--property=TimeoutStartSec=10min",
        "--property=RuntimeMaxSec=3h",
        "--property=TimeoutStopSec=10min",
        "--property=OOMPolicy=continue",
        "--description=SecBox: package update",
    };
    _cleanup_(strv_freep) char **argv = NULL;
    int r = 0;

    if (!package_start_is_possible())
        return error_set(err, EOPNOTSUPP, "agent-update.no-package",
                         "mgmt-agent was not installed from the package secbox-agent here, so there is no package to "
                         "update: update it as it was installed");
    if (p->starter)
        return error_set(err, EBUSY, "agent.busy", "a package update is being started already");
    p->starts = what;
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(fixed); i++)
        r = strv_add(&argv, fixed[i]);
    if (r >= 0)
        r = strv_addf(&argv, "--unit=%s", unit);
    if (r >= 0)
        r = strv_addf(&argv, "--service-type=%s", type);
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
    PackageStep what = run->next ? PACKAGE_STEP_ORDER : PACKAGE_STEP_SECOND;
    _cleanup_(freep) char *plan = str_format("%u", run->plan), *seconds = str_format("%u", run->seconds);
    const char *const words[] = { "run",
                                  run->package,
                                  run->to,
                                  run->id,
                                  run->number,
                                  run->next ? run->next : "",
                                  run->tunnel ? "1" : "0",
                                  plan,
                                  seconds,
                                  run->recovery ? "1" : "0",
                                  NULL };

    return plan && seconds ? start(p, what, words, err) : -ENOMEM;
}

int package_start_verdict(PackageUpdate *p, const char *verb, const char *package, Error *err)
{
    const char *const words[] = { verb, package, NULL };

    return start(p, PACKAGE_STEP_VERDICT, words, err);
}
