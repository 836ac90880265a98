/* SPDX-License-Identifier: MIT */
/* Podman keeps to a restart policy only while it can: not when its user's manager is stopped, not when its monitor is killed, not
 * after a restart that failed. There we go on, less and less often, and make the container anew once. */

#include "mgmt-agent/agent/service-rules.h"

#include <string.h>

#include "lib/base/strv.h"

#define EXIT_KILLED 137     /* SIGKILL */
#define EXIT_TERMINATED 143 /* SIGTERM */
#define RECREATE_AT 2       /* tries before */
#define RESTARTS_OF_CUT_OFF 2

/* Seconds from one try to the next; the last one for ever. */
static const unsigned delays[] = { 0, 10, 60, 300, 900, 3600 };

static const char *const state_names[_SERVICE_STATES] = {
    [SERVICE_UNKNOWN] = "unknown",         [SERVICE_RUNNING] = "running", [SERVICE_ENDED] = "ended",
    [SERVICE_BY_HAND] = "stopped by hand", [SERVICE_DOWN] = "down",       [SERVICE_LOOPING] = "restarting",
    [SERVICE_UNHEALTHY] = "unhealthy",     [SERVICE_REMOVED] = "removed",
};

const char *service_state_to_string(ServiceState s)
{
    return state_names[s];
}

ServiceState service_state_from_string(const char *s)
{
    for (ServiceState i = SERVICE_UNKNOWN; i < _SERVICE_STATES; i++)
        if (str_equal(s, state_names[i]))
            return i;
    return SERVICE_UNKNOWN;
}

RestartPolicy service_policy_from_string(const char *restart)
{
    if (str_equal(restart, "always") || str_equal(restart, "unless-stopped"))
        return RESTART_ALWAYS;
    return restart && str_starts(restart, "on-failure") ? RESTART_ON_FAILURE : RESTART_NO;
}

/* Podman 4.3 does not say who stopped a container. But it restarts at once what its policy says: what stays ended although it
 * should not was stopped by somebody. */
static ServiceState judge_ended(const ServiceFacts *f)
{
    bool tries_are_spent = f->max_retries > 0 && f->restarts >= f->max_retries;

    if (f->stopped_by_user)
        return SERVICE_BY_HAND;
    if (f->restart_failed)
        return SERVICE_DOWN;
    if (f->policy == RESTART_ALWAYS)
        return SERVICE_BY_HAND;
    if (f->exit_code == 0)
        return SERVICE_ENDED;
    if (f->policy == RESTART_ON_FAILURE)
        return tries_are_spent ? SERVICE_DOWN : SERVICE_BY_HAND;
    if (!f->out_of_memory && (f->exit_code == EXIT_KILLED || f->exit_code == EXIT_TERMINATED))
        return SERVICE_BY_HAND;
    return SERVICE_DOWN;
}

ServiceState service_judge(const ServiceFacts *f)
{
    if (!f->status || str_equal(f->status, "paused"))
        return SERVICE_BY_HAND;
    if (str_equal(f->status, "running") && f->alive)
        return f->cut_off || str_equal(f->health, "unhealthy") ? SERVICE_UNHEALTHY : SERVICE_RUNNING;
    if (str_equal(f->status, "exited"))
        return judge_ended(f);
    if (str_equal(f->status, "removing") || (str_equal(f->status, "stopping") && f->alive))
        return SERVICE_UNKNOWN;
    return SERVICE_DOWN; /* created, stopped; or running without a process */
}

static bool is_bad(ServiceState s)
{
    return s == SERVICE_DOWN || s == SERVICE_LOOPING || s == SERVICE_UNHEALTHY;
}

bool service_in_trouble(const ServiceRecord *r)
{
    return r->trouble != SERVICE_UNKNOWN && r->trouble_until == 0;
}

void service_remove(ServiceRecord *r, usec_t wall)
{
    if (service_in_trouble(r))
        r->trouble_until = wall;
    r->state = r->seen = SERVICE_REMOVED;
    r->since = wall;
}

void service_renew(ServiceRecord *r, bool deployed)
{
    r->counted = false;
    r->restarts_seen = 0;
    r->running_at = 0;
    memset(r->ends, 0, sizeof(r->ends));
    if (!deployed)
        return;
    r->tries = 0;
    r->recreated = false;
    r->not_before = 0;
}

/* A first look comes because something has ended: of what podman has counted before, the last one is news. */
static unsigned count_restarts(ServiceRecord *r, unsigned restarts, usec_t now)
{
    unsigned before = !r->counted                   ? (restarts > 0 ? restarts - 1 : 0)
                      : restarts < r->restarts_seen ? restarts
                                                    : r->restarts_seen;
    unsigned new = restarts - before;

    for (unsigned i = 0; i < new &&i < SERVICE_ENDS; i++) {
        memmove(&r->ends[0], &r->ends[1], (SERVICE_ENDS - 1) * sizeof(r->ends[0]));
        r->ends[SERVICE_ENDS - 1] = now;
    }
    r->counted = true;
    r->restarts_seen = restarts;
    return new;
}

static bool is_looping(const ServiceRecord *r, const ServiceTimes *t, usec_t now)
{
    return r->ends[0] > 0 && now - r->ends[0] < t->loop_window;
}

static bool show(ServiceRecord *r, ServiceState state, usec_t now, usec_t wall)
{
    if (r->state == state)
        return false;
    r->state = state;
    r->since = wall;
    r->shown_at = now;
    return true;
}

static bool is_forgotten(const ServiceRecord *r, const ServiceTimes *t, usec_t now)
{
    return r->state == SERVICE_BY_HAND && t->stop_alarm > 0 && now - r->shown_at >= t->stop_alarm;
}

static bool begin_trouble(ServiceRecord *r, usec_t now, usec_t wall)
{
    r->trouble = r->state;
    r->trouble_since = r->state == SERVICE_BY_HAND ? r->since : wall;
    r->trouble_until = 0;
    r->trouble_at = now;
    r->restarts = r->tries = 0;
    r->recreated = false;
    r->not_before = 0;
    for (size_t i = 0; i < SERVICE_ENDS && is_bad(r->state); i++)
        r->restarts += r->ends[i] > 0;
    return true;
}

static bool follow_trouble(ServiceRecord *r, const ServiceTimes *t, unsigned ends, usec_t now, usec_t wall)
{
    if (!service_in_trouble(r))
        return (is_bad(r->state) || is_forgotten(r, t, now)) && begin_trouble(r, now, wall);
    r->restarts += ends;
    if (is_bad(r->state)) {
        r->trouble = r->state;
        return ends > 0;
    }
    if (r->state == SERVICE_UNKNOWN || is_forgotten(r, t, now) ||
        (r->state == SERVICE_RUNNING && now - r->running_at < t->well_after))
        return ends > 0;
    r->trouble_until = wall;
    return true;
}

/* Behind a stop, however long its grace was, podman clears up, and on a busy box takes its time for that. */
static bool is_ending(ServiceRecord *r, const ServiceTimes *t, const ServiceFacts *f, usec_t now)
{
    if (f->alive || !str_equal(f->status, "stopping")) {
        r->ending_at = 0;
        return false;
    }
    if (r->ending_at == 0)
        r->ending_at = now;
    return now - r->ending_at < t->patience;
}

bool service_note(ServiceRecord *r, const ServiceTimes *t, const ServiceFacts *f, usec_t now, usec_t wall)
{
    unsigned ends = f->status ? count_restarts(r, f->restarts, now) : 0;
    ServiceState seen = service_judge(f);
    bool changed = false;

    if (is_ending(r, t, f, now))
        seen = SERVICE_UNKNOWN;
    if (f->guessed && !f->alive && (r->seen == SERVICE_BY_HAND || r->seen == SERVICE_ENDED))
        seen = r->seen; /* nothing speaks against it */
    if (seen == SERVICE_RUNNING && is_looping(r, t, now))
        seen = SERVICE_LOOPING;
    /* what has not run in between cannot have been stopped: a start of ours has failed */
    if (r->seen == SERVICE_DOWN && f->status && (seen == SERVICE_BY_HAND || seen == SERVICE_ENDED) &&
        !f->stopped_by_user)
        seen = SERVICE_DOWN;
    if (seen != r->seen)
        r->seen_at = now;
    r->seen = seen;
    r->stuck = !f->alive && (str_equal(f->status, "running") || str_equal(f->status, "stopping"));
    r->leave = f->policy == RESTART_NO && str_equal(f->status, "exited");
    r->cut_off = f->cut_off && seen == SERVICE_UNHEALTHY && !str_equal(f->health, "unhealthy");
    if (seen != SERVICE_RUNNING)
        r->running_at = 0;
    else if (r->running_at == 0)
        r->running_at = now;
    if (seen != SERVICE_UNKNOWN && (seen != SERVICE_DOWN || now - r->seen_at >= t->settle))
        changed = show(r, seen, now, wall);
    return follow_trouble(r, t, ends, now, wall) || changed;
}

static usec_t step_due(const ServiceRecord *r, const ServiceTimes *t)
{
    usec_t first = r->trouble_at + (r->state == SERVICE_DOWN || r->cut_off ? 0 : t->patience);

    return first > r->not_before ? first : r->not_before;
}

static ServiceStep step_for(const ServiceRecord *r)
{
    if (!service_in_trouble(r) || !is_bad(r->state) || r->leave)
        return SERVICE_STEP_NONE;
    if (r->state == SERVICE_LOOPING) /* podman starts it often enough */
        return r->recreated ? SERVICE_STEP_NONE : SERVICE_STEP_RECREATE;
    if (r->cut_off) /* where fresh forwarders have not helped, a fresh container would not, and what it does inside may be well */
        return r->tries < RESTARTS_OF_CUT_OFF ? SERVICE_STEP_RESTART : SERVICE_STEP_NONE;
    if ((r->stuck || r->tries >= RECREATE_AT) && !r->recreated)
        return SERVICE_STEP_RECREATE;
    return r->state == SERVICE_DOWN ? SERVICE_STEP_START : SERVICE_STEP_RESTART;
}

static void earlier(usec_t *at, usec_t other)
{
    if (other < *at)
        *at = other;
}

ServiceStep service_next(const ServiceRecord *r, const ServiceTimes *t, usec_t now, usec_t *ret_again)
{
    ServiceStep step = step_for(r);

    *ret_again = USEC_INFINITY;
    if (step != SERVICE_STEP_NONE && step_due(r, t) <= now)
        return step;
    if (step != SERVICE_STEP_NONE)
        earlier(ret_again, step_due(r, t));
    if (r->seen == SERVICE_UNKNOWN || (r->seen == SERVICE_DOWN && r->state != SERVICE_DOWN))
        earlier(ret_again, r->seen_at + t->settle > now ? r->seen_at + t->settle : now + t->settle);
    if (r->state == SERVICE_LOOPING)
        earlier(ret_again, r->ends[0] + t->loop_window > now ? r->ends[0] + t->loop_window : now);
    if (r->state == SERVICE_BY_HAND && t->stop_alarm > 0 && !service_in_trouble(r))
        earlier(ret_again, is_forgotten(r, t, now) ? now : now + t->stop_alarm - (now - r->shown_at));
    if (service_in_trouble(r) && r->running_at > 0)
        earlier(ret_again, r->running_at + t->well_after > now ? r->running_at + t->well_after : now);
    return SERVICE_STEP_NONE;
}

void service_took(ServiceRecord *r, const ServiceTimes *t, ServiceStep step, usec_t now)
{
    size_t last = ELEMENTSOF(delays) - 1;

    r->tries++;
    r->restarts++;
    r->recreated = r->recreated || step == SERVICE_STEP_RECREATE;
    r->not_before = now + delays[r->tries < last ? r->tries : last] * t->unit;
}
