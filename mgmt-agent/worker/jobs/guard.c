/* SPDX-License-Identifier: MIT */
/* The second process of a change: mgmt-change-guard.service runs it while one is under way. It does what mgmt-agent would have had
 * done, by the same jobs and the same journal, when mgmt-agent is dead, or hangs, or must not start. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/boot-id.h"
#include "lib/base/log.h"
#include "mgmt-agent/state/boot-mark.h"
#include "mgmt-agent/state/change-guard.h"
#include "mgmt-agent/state/confirm-deadline.h"
#include "mgmt-agent/worker/jobs/guard-rules.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/phases/flow.h"

#define LOOK_USEC (2 * USEC_PER_SEC)
#define RETRY_USEC (30 * USEC_PER_SEC)

typedef struct Guard {
    const WorkerOptions *options;
    GuardWatch watch;
} Guard;

static const struct {
    int (*run)(Deploy *d, const cJSON *request);
    const char *what;
} acts[] = {
    [GUARD_COMMIT] = { job_commit, "The cloud has confirmed it: making it final" },
    [GUARD_UNDO] = { job_undo, "Nobody has confirmed it in time: taking it back" },
    [GUARD_RECOVER] = { job_recover, "It was left half-made: finishing it, or taking it back" },
};

static int look(Guard *g, bool locked, Journal *ret, GuardStep *ret_step, Error *err)
{
    _cleanup_(freep) char *boot_id = boot_id_read();
    usec_t down_since = tunnel_down_since();
    Journal j = {};
    int r = boot_id ? journal_load(&j, err) : -ENOMEM;

    if (r < 0)
        return r;
    *ret_step = guard_next(&g->watch, &(GuardView) { .state = j.state,
                                                     .tries = j.tries,
                                                     .locked = locked,
                                                     .stale = confirm_deadline_is_stale(&j, boot_id, down_since),
                                                     .confirmed = change_is_confirmed(j.id),
                                                     .pace = g->options->pace,
                                                     .deadline = confirm_deadline(&j, down_since),
                                                     .now = boottime_usec() });
    *ret = j;
    return 0;
}

/* As mgmt-agent does: nothing runs after a boot but what was just brought back. */
static void start_after_boot(const WorkerOptions *options)
{
    _cleanup_(deploy_done) Deploy d = { .options = options };

    if (boot_is_new() && job_start(&d, NULL) == 0)
        boot_remember();
}

/* The agent's own, by which its workers go; this unit does not have it. */
static int take_environment(void)
{
    _cleanup_(cJSON_Deletep) cJSON *environment = change_mark_environment();

    return podman_user_take_environment(environment);
}

/* With the lock, under which the journal is read again: mgmt-agent may have been faster. */
static int act(Guard *g, GuardStep wanted, Error *err)
{
    _cleanup_(deploy_done) Deploy d = { .options = g->options, .by_guard = true };
    _cleanup_(journal_done) Journal j = {};
    _cleanup_(closep) int lock = -1;
    GuardStep step = GUARD_WAIT;
    int r = change_lock(false, &lock, err);

    if (r == 0)
        r = look(g, false, &j, &step, err);
    if (r < 0 || step != wanted)
        return r;
    if (step == GUARD_OVER)
        return change_mark_clear(err);
    r = take_environment();
    if (r < 0)
        return error_from_errno(err, r, "take over the settings of mgmt-agent's podman");
    log_warning("mgmt-agent does nothing about snapshot %s, which is %s. %s", j.version,
                deploy_state_to_string(j.state), acts[step].what);
    if (acts[step].run(&d, NULL) == EXIT_TRY_AGAIN)
        return -EAGAIN;
    log_notice("Snapshot %s: that is done", j.version);
    start_after_boot(g->options);
    return 0;
}

/* Ends when nothing is under way any more. */
int job_guard(Deploy *d, const cJSON *request)
{
    Guard g = { .options = d->options };

    (void) request;
    for (;;) {
        _cleanup_(journal_done) Journal j = {};
        _cleanup_(error_done) Error err = {};
        GuardStep step = GUARD_WAIT;
        int r = look(&g, change_is_locked(), &j, &step, &err);

        if (r == 0 && step == GUARD_RENEW)
            r = confirm_deadline_renew(&j, &err);
        else if (r == 0 && step != GUARD_WAIT)
            r = act(&g, step, &err);
        if (r == 0 && step == GUARD_OVER)
            return 0;
        if (r < 0 && r != -EBUSY && r != -EAGAIN)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "The guard of a change is tried again in %u s",
                        (unsigned) (RETRY_USEC / USEC_PER_SEC));
        usleep((useconds_t) ((r < 0 && r != -EBUSY ? RETRY_USEC : LOOK_USEC) / g.options->pace));
    }
}
