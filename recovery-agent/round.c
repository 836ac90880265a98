/* SPDX-License-Identifier: MIT */
/* Every few seconds: all checks at once, one verdict, at most one step. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "recovery-agent/recovery-impl.h"

#define REBOOT_PATH RUN_DIR "/recovery/reboot"
#define REBOOT_AGAIN 3 /* times of settling, until a reboot that has not come is asked for again */
#define RESTART_DEADLINE (90 * USEC_PER_SEC)
#define RECREATE_DEADLINE (300 * USEC_PER_SEC)

static usec_t monotonic_usec(void)
{
    struct timespec ts = {};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

static int on_next(sd_event_source *source, uint64_t usec, void *userdata);

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

static void climb(Recovery *r)
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

static void note_health(Recovery *r, bool changed, usec_t now)
{
    bool healthy = r->verdict.state == VERDICT_HEALTHY;
    if (changed)
        r->changed_at = realtime_usec();
    if (!healthy)
        r->healthy_since = 0;
    else if (r->healthy_since == 0)
        r->healthy_since = now;
    if (healthy && !r->state.was_healthy) {
        r->state.was_healthy = true;
        (void) recovery_save(r, NULL);
    }
    access_update(&r->access, r->verdict.state, healthy ? now - r->healthy_since : 0,
                  r->config.close_after * USEC_PER_SEC, now);
}

static void finish(Recovery *r)
{
    usec_t now = boottime_usec(), again = r->round_started + r->config.interval * USEC_PER_SEC;
    size_t n = CHECK_LISTENERS + listeners_count(r->listeners);
    timer_disarm(r->expiry);
    r->probe_id[0] = '\0';
    for (size_t i = CHECK_LISTENERS; i < n; i++)
        r->results[i] = listeners_good(r->listeners, i - CHECK_LISTENERS) ? CHECK_GOOD : CHECK_BAD;
    bool changed = verdict_round(&r->verdict, &r->verdict_options, r->results, n, now, monotonic_usec());
    r->round_ended = now;
    note_health(r, changed, now);
    climb(r);
    recovery_tell(r);
    if (timer_arm(r->event, &r->next, again > now ? again - now : 0, on_next, r) < 0)
        log_error("no memory for the next round of checks: the service manager will notice");
}

static void finish_if_settled(Recovery *r)
{
    if (r->listeners_settled && !r->probe_id[0])
        finish(r);
}

static void on_listeners_settled(void *userdata)
{
    Recovery *r = userdata;
    r->listeners_settled = true;
    finish_if_settled(r);
}

/* The gateway did not answer us either: that says nothing about the device tunnel. */
static int on_expiry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Recovery *r = userdata;
    r->probe_id[0] = '\0';
    if (r->listeners_settled)
        finish(r);
    else
        listeners_expire(r->listeners);
    return 0;
}

static bool had_device(Recovery *r, bool has)
{
    if (has && !r->state.had_device) {
        r->state.had_device = true;
        (void) recovery_save(r, NULL);
    }
    return r->state.had_device;
}

/* Which tunnel people come in by on this box, and what the gateway says of it. The container that holds the device tunnel need
 * not be deployed: then there is the management tunnel. Whether it is may be unknown for long, since mgmt-agent tells: then a
 * device tunnel is missed only where there was one, and otherwise nothing is missed. */
static const char *far_end_state(Recovery *r, const cJSON *result)
{
    const char *device = json_string(result, "device"), *mgmt = json_string(result, "mgmt");
    bool has = str_equal(device, "ok"), had = had_device(r, has), offline = str_equal(device, "offline");
    bool by_device = has || r->deployed == DEPLOYED_YES || (r->deployed == DEPLOYED_UNKNOWN && (had || !offline));
    const char *way = by_device ? "device" : "management";
    if (!str_equal(way, r->way))
        r->offline_since = 0;
    r->way = way;
    if (by_device)
        return device;
    return r->deployed == DEPLOYED_NO || str_equal(mgmt, "ok") ? mgmt : NULL;
}

/* Tunnels are lost together when the gateway restarts, and come back one by one: being offline counts after a while, of which
 * we ourselves were connected. */
static CheckResult judge_tunnel(Recovery *r, const char *state, usec_t now)
{
    usec_t limit = r->config.offline * USEC_PER_SEC;
    if (!str_equal(state, "offline"))
        r->offline_since = 0;
    r->way_silent = str_equal(state, "silent");
    if (str_equal(state, "ok"))
        return CHECK_GOOD;
    if (r->way_silent)
        return CHECK_BAD;
    if (!str_equal(state, "offline"))
        return CHECK_UNKNOWN;
    if (r->offline_since == 0)
        r->offline_since = now;
    return now - r->offline_since >= limit && now - r->up_since >= limit ? CHECK_BAD : CHECK_UNKNOWN;
}

void round_take_result(Recovery *r, const cJSON *message)
{
    uint64_t sessions = 0;
    if (!r->probe_id[0] || !str_equal(json_string(message, "id"), r->probe_id))
        return;
    r->probe_id[0] = '\0';
    agent_watch_note_probe(r->agent_watch, r->probe_asked, str_equal(json_string(message, "mgmt"), "ok"));
    r->results[CHECK_TUNNEL] = judge_tunnel(r, far_end_state(r, message), boottime_usec());
    /* people who came in by another way work on the box, too */
    r->others_in = json_u64(message, "sessions", &sessions) >= 0 && sessions > 0;
    finish_if_settled(r);
}

/* As long as all is well every other round does: each costs six messages on lines that may be counted by the byte, and a wedge
 * is still known within 20 s. */
static bool may_skip(Recovery *r)
{
    return r->verdict.state == VERDICT_HEALTHY && r->results[CHECK_TUNNEL] == CHECK_GOOD && r->up_since > 0 &&
           r->rounds++ % 2 == 1;
}

static void ask_gateway(Recovery *r)
{
    if (may_skip(r))
        return;
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("probe.request");
    r->results[CHECK_TUNNEL] = CHECK_UNKNOWN;
    r->probe_id[0] = '\0';
    if (r->up_since == 0)
        r->others_in = false;
    if (r->up_since == 0 || !m)
        return;
    snprintf(r->probe_id, sizeof(r->probe_id), "p-%016llx", (unsigned long long) random_u64());
    r->probe_asked = boottime_usec();
    if (json_add_string(m, "id", r->probe_id) < 0 || tunnel_send_json(r->tunnel, m) < 0)
        r->probe_id[0] = '\0';
}

static int on_next(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Recovery *r = userdata;
    r->round_started = boottime_usec();
    r->listeners_settled = false;
    r->deployed = deployed_read(r->config.service);
    r->heartbeat_seen = r->heartbeat_seen && r->deployed != DEPLOYED_NO;
    r->results[CHECK_HEARTBEAT] =
        r->deployed == DEPLOYED_NO
            ? CHECK_UNKNOWN
            : heartbeat_check(r->heartbeat, r->round_started, r->config.stale * USEC_PER_SEC, &r->heartbeat_seen);
    ask_gateway(r);
    int k = timer_arm(r->event, &r->expiry, r->config.probe_timeout * USEC_PER_SEC, on_expiry, r);
    listeners_try(r->listeners, on_listeners_settled, r);
    return k;
}

int rounds_start(Recovery *r, Error *err)
{
    const Config *c = &r->config;
    r->verdict_options = (VerdictOptions) {
        .failures = (unsigned) c->failures,
        .good = (unsigned) c->good,
        .grace = c->grace * USEC_PER_SEC,
        .round = (c->interval > c->probe_timeout ? c->interval : c->probe_timeout) * USEC_PER_SEC,
    };
    r->ladder_options = (LadderOptions) {
        .act = c->act,
        .reboot = c->reboot,
        .restart_after = c->restart_after * USEC_PER_SEC,
        .recreate_after = c->recreate_after * USEC_PER_SEC,
        .reboot_after = c->reboot_after * USEC_PER_SEC,
        .remote_after = c->offline * USEC_PER_SEC,
        .settle = c->grace * USEC_PER_SEC,
    };
    r->changed_at = realtime_usec();
    r->round_ended = boottime_usec();
    verdict_init(&r->verdict, &r->verdict_options, r->round_ended);
    r->heartbeat = path_in_root(c->heartbeat);
    if (!r->heartbeat)
        return -ENOMEM;
    int k = listeners_new(r->event, c->probes, &r->listeners, err);
    return k < 0 ? k : timer_arm(r->event, &r->next, 0, on_next, r);
}

void rounds_stop(Recovery *r)
{
    sd_event_source_disable_unref(r->next);
    sd_event_source_disable_unref(r->expiry);
    listeners_free(r->listeners);
    free(r->heartbeat);
    agent_request_free(r->request);
}
