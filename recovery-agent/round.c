/* SPDX-License-Identifier: MIT */
/* Every few seconds: all checks at once, one verdict, at most one step. */
#include "recovery-agent/round.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "recovery-agent/status.h"
#include "recovery-agent/steps.h"

static usec_t monotonic_usec(void)
{
    struct timespec ts = {};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

static int on_next(sd_event_source *source, uint64_t usec, void *userdata);

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
    steps_climb(r);
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

void round_take_result(Recovery *r, const cJSON *message)
{
    uint64_t sessions = 0;
    if (!r->probe_id[0] || !str_equal(json_string(message, "id"), r->probe_id))
        return;
    r->probe_id[0] = '\0';
    agent_watch_note_probe(r->agent_watch, r->probe_asked, str_equal(json_string(message, "mgmt"), "ok"));
    if (!r->state.had_device && main_way_has_device(message)) {
        r->state.had_device = true;
        (void) recovery_save(r, NULL);
    }
    const MainWayInput in = {
        .result = message,
        .deployed = r->deployed,
        .had_device = r->state.had_device,
        .now = boottime_usec(),
        .up_since = r->up_since,
        .patience = r->config.offline * USEC_PER_SEC,
    };
    r->results[CHECK_TUNNEL] = main_way_judge(&r->main_way, &in);
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
