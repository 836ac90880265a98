/* SPDX-License-Identifier: MIT */
#include "recovery-agent/steps.h"

#include <errno.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "recovery-agent/status.h"

#define REBOOT_PATH RUN_DIR "/recovery/reboot"
#define REBOOT_AGAIN 3 /* times of settling, until a reboot that has not come is asked for again */
#define RESTART_DEADLINE (90 * USEC_PER_SEC)
#define RECREATE_DEADLINE (300 * USEC_PER_SEC)

/* Taken, or without effect: the next one follows. */
static void step_ended(Recovery *r, bool taken, const Error *err, int code)
{
    LadderStep step = r->running;
    usec_t now = boottime_usec();
    r->running = STEP_NONE;
    r->request = NULL;
    ladder_ended(&r->ladder, &r->ladder_options, step, taken, now);
    if (!taken) {
        budget_refund(&r->state.budget);
        (void) recovery_save(r, NULL);
    }
    if (code < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, code, "%s of %s did not help", ladder_step_name(step),
                    r->config.service);
    else
        log_notice("%s of %s is done", ladder_step_name(step), r->config.service);
    if (code >= 0)
        verdict_excuse(&r->verdict, now + r->verdict_options.grace);
    recovery_tell(r);
}

static void on_request_done(int code, const cJSON *answer, const Error *err, void *userdata)
{
    _cleanup_(error_done) Error failure = {};
    if (code >= 0 && !json_bool(answer, "ok", false)) {
        code = json_to_error(cJSON_GetObjectItemCaseSensitive(answer, "error"), EREMOTEIO, &failure);
        err = &failure;
    }
    step_ended(userdata, !str_equal(error_id(err), "agent.busy"), err, code);
}

static int reconnect(Recovery *r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("recovery.reconnect");
    return m ? tunnel_send_json(r->tunnel, m) : -ENOMEM;
}

/* A path unit sees the file and reboots: we have no right to. */
static int reboot(Error *err)
{
    _cleanup_(freep) char *path = path_in_root(REBOOT_PATH);
    return path ? file_write_atomic(path, "", 0, 0600, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;
}

static int ask_agent(Recovery *r, LadderStep step, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_SOCKET_PATH);
    bool restart = step == STEP_RESTART;
    _cleanup_(cJSON_Deletep) cJSON *m = message_new(restart ? "container.restart" : "container.recreate");
    if (!path || !m || json_add_string(m, "service", r->config.service) < 0)
        return -ENOMEM;
    return agent_request_start(r->event, path, m, "container.result", restart ? RESTART_DEADLINE : RECREATE_DEADLINE,
                               on_request_done, r, &r->request, err);
}

static void act(Recovery *r)
{
    _cleanup_(error_done) Error err = {};
    LadderStep step = r->running;
    if (step == STEP_REBOOT)
        r->reboot_again = boottime_usec() + REBOOT_AGAIN * r->ladder_options.settle;
    int k = step == STEP_RECONNECT ? reconnect(r) : step == STEP_REBOOT ? reboot(&err) : ask_agent(r, step, &err);
    if (k < 0 || step == STEP_RECONNECT || step == STEP_REBOOT)
        step_ended(r, true, &err, k);
}

/* A disk that takes nothing forbids a reboot, which would come again and again, and nothing else. */
static void on_budget_saved(bool written, void *userdata)
{
    Recovery *r = userdata;
    _cleanup_(error_done) Error err = {};
    if (written || r->running != STEP_REBOOT)
        act(r);
    else
        step_ended(r, true, &err, error_set(&err, EIO, "state.write", "the budget of reboots cannot be written"));
}

/* The budget is spent on the disk before anything happens. */
static void take_step(Recovery *r, LadderStep step)
{
    const LadderTime now = recovery_time(r);
    r->running = step;
    log_warning("the main way is wedged: %s%s%s", ladder_step_name(step), step == STEP_REBOOT ? "" : " of ",
                step == STEP_REBOOT ? "" : r->config.service);
    if (step == STEP_RECONNECT) {
        act(r);
        return;
    }
    budget_spend(&r->state.budget, step, &now);
    if (recovery_save(r, on_budget_saved) < 0)
        on_budget_saved(false, r);
}

/* What is bad often enough, and shown by this box itself. */
static bool is_local(const Recovery *r)
{
    for (size_t i = 0; i < CHECK_LISTENERS + listeners_count(r->listeners); i++)
        if (i != CHECK_TUNNEL && r->verdict.bad[i] >= r->verdict_options.failures)
            return true;
    return false;
}

/* A path unit that has failed misses what is asked for, until it is started again. */
static void reboot_once_more(Recovery *r, usec_t now)
{
    _cleanup_(error_done) Error err = {};
    if (now < r->reboot_again)
        return;
    r->reboot_again = now + REBOOT_AGAIN * r->ladder_options.settle;
    log_warning("the reboot that was asked for has not come: asking again");
    int k = reboot(&err);
    if (k < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, k, "that cannot be asked for");
}

void steps_climb(Recovery *r)
{
    const LadderInput in = {
        .now = recovery_time(r),
        .wedged = r->verdict.state == VERDICT_WEDGED,
        .local = is_local(r),
        .since = r->verdict.since,
        .was_healthy = r->state.was_healthy,
        .no_service = r->deployed == DEPLOYED_NO,
        .operator_in = r->others_in || bridge_sessions(r->bridge) > 0,
        .tunnel_up = r->up_since > 0,
    };
    if (r->running != STEP_NONE)
        return;
    LadderStep step = ladder_next(&r->ladder, &r->ladder_options, &r->state.budget, &in);
    if (step != STEP_NONE)
        take_step(r, step);
    else if (ladder_misses_reboot(&r->ladder_options, &r->state.budget, &in))
        reboot_once_more(r, in.now.boottime);
}
