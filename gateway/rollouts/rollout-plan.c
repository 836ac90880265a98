/* SPDX-License-Identifier: MIT */
/* Transition tables of rollouts and of boxes in them, and the decision what comes next. docs/states.md shows
 * the same tables; a unit test compares. */
#include "gateway/rollouts/rollout-plan.h"

#include <errno.h>

#include "lib/base/mem.h"
#include "lib/base/strv.h"

static const char *const state_names[_ROLLOUT_STATES] = {
    [ROLLOUT_RUNNING] = "running", [ROLLOUT_SOAKING] = "soaking", [ROLLOUT_PAUSED] = "paused",
    [ROLLOUT_HALTED] = "halted",   [ROLLOUT_ABORTED] = "aborted", [ROLLOUT_DONE] = "done",
};

static const char *const event_names[_ROLLOUT_EVENTS] = {
    [ROLLOUT_COMPLETE] = "complete", [ROLLOUT_SOAKED] = "soaked", [ROLLOUT_FINISH] = "finish", [ROLLOUT_HALT] = "halt",
    [ROLLOUT_PAUSE] = "pause",       [ROLLOUT_RESUME] = "resume", [ROLLOUT_ABORT] = "abort",
};

static const char *const box_state_names[_ROLLOUT_BOX_STATES] = {
    [ROLLOUT_BOX_WAITING] = "waiting", [ROLLOUT_BOX_OFFLINE] = "offline", [ROLLOUT_BOX_SENT] = "sent",
    [ROLLOUT_BOX_DONE] = "done",       [ROLLOUT_BOX_FAILED] = "failed",   [ROLLOUT_BOX_ROLLED_BACK] = "rolled-back",
    [ROLLOUT_BOX_SKIPPED] = "skipped",
};

static const char *const box_event_names[_ROLLOUT_BOX_EVENTS] = {
    [ROLLOUT_BOX_SEND] = "send", [ROLLOUT_BOX_AWAY] = "away",           [ROLLOUT_BOX_RETRY] = "retry",
    [ROLLOUT_BOX_HOLD] = "hold", [ROLLOUT_BOX_WORKED] = "worked",       [ROLLOUT_BOX_FAIL] = "fail",
    [ROLLOUT_BOX_SKIP] = "skip", [ROLLOUT_BOX_ROLL_BACK] = "roll-back",
};

typedef struct Transition {
    int from, event, to;
} Transition;

static const Transition transitions[] = {
    { ROLLOUT_RUNNING, ROLLOUT_COMPLETE, ROLLOUT_SOAKING }, { ROLLOUT_RUNNING, ROLLOUT_HALT, ROLLOUT_HALTED },
    { ROLLOUT_RUNNING, ROLLOUT_PAUSE, ROLLOUT_PAUSED },     { ROLLOUT_RUNNING, ROLLOUT_ABORT, ROLLOUT_ABORTED },
    { ROLLOUT_SOAKING, ROLLOUT_SOAKED, ROLLOUT_RUNNING },   { ROLLOUT_SOAKING, ROLLOUT_FINISH, ROLLOUT_DONE },
    { ROLLOUT_SOAKING, ROLLOUT_HALT, ROLLOUT_HALTED },      { ROLLOUT_SOAKING, ROLLOUT_PAUSE, ROLLOUT_PAUSED },
    { ROLLOUT_SOAKING, ROLLOUT_ABORT, ROLLOUT_ABORTED },    { ROLLOUT_PAUSED, ROLLOUT_HALT, ROLLOUT_HALTED },
    { ROLLOUT_PAUSED, ROLLOUT_RESUME, ROLLOUT_RUNNING },    { ROLLOUT_PAUSED, ROLLOUT_ABORT, ROLLOUT_ABORTED },
    { ROLLOUT_HALTED, ROLLOUT_RESUME, ROLLOUT_RUNNING },    { ROLLOUT_HALTED, ROLLOUT_ABORT, ROLLOUT_ABORTED },
    { ROLLOUT_DONE, ROLLOUT_HALT, ROLLOUT_HALTED },         { ROLLOUT_DONE, ROLLOUT_ABORT, ROLLOUT_ABORTED },
};

static const Transition box_transitions[] = {
    { ROLLOUT_BOX_WAITING, ROLLOUT_BOX_SEND, ROLLOUT_BOX_SENT },
    { ROLLOUT_BOX_WAITING, ROLLOUT_BOX_AWAY, ROLLOUT_BOX_OFFLINE },
    { ROLLOUT_BOX_WAITING, ROLLOUT_BOX_SKIP, ROLLOUT_BOX_SKIPPED },
    { ROLLOUT_BOX_OFFLINE, ROLLOUT_BOX_SEND, ROLLOUT_BOX_SENT },
    { ROLLOUT_BOX_OFFLINE, ROLLOUT_BOX_SKIP, ROLLOUT_BOX_SKIPPED },
    { ROLLOUT_BOX_SENT, ROLLOUT_BOX_RETRY, ROLLOUT_BOX_WAITING },
    { ROLLOUT_BOX_SENT, ROLLOUT_BOX_HOLD, ROLLOUT_BOX_OFFLINE },
    { ROLLOUT_BOX_SENT, ROLLOUT_BOX_WORKED, ROLLOUT_BOX_DONE },
    { ROLLOUT_BOX_SENT, ROLLOUT_BOX_FAIL, ROLLOUT_BOX_FAILED },
    { ROLLOUT_BOX_SENT, ROLLOUT_BOX_ROLL_BACK, ROLLOUT_BOX_ROLLED_BACK },
    { ROLLOUT_BOX_SENT, ROLLOUT_BOX_SKIP, ROLLOUT_BOX_SKIPPED },
    { ROLLOUT_BOX_FAILED, ROLLOUT_BOX_WORKED, ROLLOUT_BOX_DONE },
    { ROLLOUT_BOX_FAILED, ROLLOUT_BOX_ROLL_BACK, ROLLOUT_BOX_ROLLED_BACK },
};

static int index_of(const char *const *names, int n, const char *name)
{
    for (int i = 0; name && i < n; i++)
        if (str_equal(names[i], name))
            return i;
    return -EINVAL;
}

static int next_in(const Transition *table, size_t n, int state, int event)
{
    for (size_t i = 0; i < n; i++)
        if (table[i].from == state && table[i].event == event)
            return table[i].to;
    return -EPROTO;
}

const char *rollout_state_to_string(RolloutState state)
{
    return state_names[state];
}

int rollout_state_from_string(const char *name)
{
    return index_of(state_names, _ROLLOUT_STATES, name);
}

const char *rollout_event_to_string(RolloutEvent event)
{
    return event_names[event];
}

int rollout_next(RolloutState state, RolloutEvent event)
{
    return next_in(transitions, ELEMENTSOF(transitions), (int) state, (int) event);
}

const char *rollout_box_state_to_string(RolloutBoxState state)
{
    return box_state_names[state];
}

int rollout_box_state_from_string(const char *name)
{
    return index_of(box_state_names, _ROLLOUT_BOX_STATES, name);
}

const char *rollout_box_event_to_string(RolloutBoxEvent event)
{
    return box_event_names[event];
}

int rollout_box_next(RolloutBoxState state, RolloutBoxEvent event)
{
    return next_in(box_transitions, ELEMENTSOF(box_transitions), (int) state, (int) event);
}

bool rollout_is_sending(RolloutState state)
{
    return state == ROLLOUT_RUNNING || state == ROLLOUT_SOAKING || state == ROLLOUT_DONE;
}

/* Nothing here runs it, or may be given it. */
static bool is_not_for_box(const char *error)
{
    static const char *const ids[] = { "update.pinned", "update.pull-policy", "agent-update.no-package",
                                       "agent-update.newer", "agent-update.taken-over", "release.other-machine",
                                       /* it was away for too long, or has been told something since */
                                       "order.older", "order.expired" };

    return index_of(ids, ELEMENTSOF(ids), error) >= 0;
}

RolloutBoxEvent rollout_box_event(const char *outcome, unsigned status, const char *error)
{
    if (str_equal(outcome, "done"))
        return ROLLOUT_BOX_WORKED;
    if (str_equal(outcome, "rolled-back"))
        return ROLLOUT_BOX_ROLL_BACK;
    if (!str_equal(outcome, "failed"))
        return ROLLOUT_BOX_FAIL; /* recovery, unknown: worse than a rollback */
    if (status == 423 || str_equal(error, "update.not-now"))
        return ROLLOUT_BOX_HOLD;
    if (status == 404 || is_not_for_box(error))
        return ROLLOUT_BOX_SKIP;
    return status == 409 || status == 503 ? ROLLOUT_BOX_RETRY : ROLLOUT_BOX_FAIL;
}

static RolloutCounts sum(const RolloutView *v, size_t n)
{
    RolloutCounts all = {};
    for (size_t i = 0; i < n; i++) {
        const RolloutCounts *g = &v->groups[i];
        all.boxes += g->boxes;
        all.waiting += g->waiting;
        all.offline += g->offline;
        all.sent += g->sent;
        all.done += g->done;
        all.failed += g->failed;
        all.skipped += g->skipped;
    }
    return all;
}

unsigned rollout_failures_max(const RolloutView *v)
{
    uint64_t share = (uint64_t) sum(v, v->n_groups).boxes * v->halt_at / ROLLOUT_WHOLE;
    return share > 1 ? (unsigned) share : 1;
}

unsigned rollout_failures(const RolloutView *v, unsigned *ret_attempted)
{
    RolloutCounts all = sum(v, v->n_groups);
    /* a box may have said since the resume that it works after all */
    unsigned failed = all.failed > v->forgiven ? all.failed - v->forgiven : 0;
    if (ret_attempted)
        *ret_attempted = all.done + failed;
    return failed;
}

unsigned rollout_boxes(const RolloutView *v)
{
    return sum(v, v->n_groups).boxes;
}

static bool is_unfinished(const RolloutView *v)
{
    RolloutCounts all = sum(v, v->n_groups);
    return all.waiting + all.offline + all.sent > 0;
}

bool rollout_share_halts(const RolloutView *v)
{
    unsigned attempted, failed = rollout_failures(v, &attempted);
    /* of few that have ended, one or two that failed are a large share by chance; the bound on all boxes holds all the same */
    bool counts = v->group == 0 || failed >= ROLLOUT_FAILURES_FLOOR || !is_unfinished(v);
    return counts && (uint64_t) failed * ROLLOUT_WHOLE > (uint64_t) v->halt_at * attempted;
}

static bool has_to_halt(const RolloutView *v)
{
    unsigned failed = rollout_failures(v, NULL);
    return failed > 0 && (rollout_share_halts(v) || (is_unfinished(v) && failed >= rollout_failures_max(v)));
}

bool rollout_proves_nothing(const RolloutView *v)
{
    RolloutCounts all = sum(v, v->n_groups), started = sum(v, v->group + 1);
    const RolloutCounts *newest = &v->groups[v->group];
    return newest->boxes > 0 && newest->skipped == newest->boxes && started.done + started.failed == 0 &&
           all.waiting + all.offline > 0;
}

/* Nothing in the groups that have started is under way or can be started, and the newest one has shown
 * something: a group whose boxes are all away, or have nothing to do with it, proves nothing. */
static bool group_is_complete(const RolloutView *v)
{
    RolloutCounts started = sum(v, v->group + 1);
    const RolloutCounts *newest = &v->groups[v->group];
    if (started.waiting + started.sent > 0 || rollout_proves_nothing(v))
        return false;
    return newest->done + newest->failed > 0 || newest->skipped == newest->boxes;
}

/* A box that works and then goes away is what the soak time is there to show. */
static bool group_is_away(const RolloutView *v)
{
    const RolloutCounts *newest = &v->groups[v->group];
    return v->group + 1 < v->n_groups && newest->away * 2 > newest->done;
}

static int decide_event(const RolloutView *v, usec_t now, usec_t *wake_at)
{
    if (rollout_next(v->state, ROLLOUT_HALT) >= 0 && has_to_halt(v))
        return ROLLOUT_HALT;
    if (v->state == ROLLOUT_RUNNING && group_is_complete(v))
        return ROLLOUT_COMPLETE;
    if (v->state != ROLLOUT_SOAKING)
        return -1;
    const RolloutCounts *newest = &v->groups[v->group];
    bool touched = newest->done + newest->failed > 0;
    if (touched && now < v->soaking_since + v->soak) {
        *wake_at = v->soaking_since + v->soak;
        return -1;
    }
    if (!group_is_complete(v) || group_is_away(v))
        return -1;
    return v->group + 1 < v->n_groups ? ROLLOUT_SOAKED : ROLLOUT_FINISH;
}

RolloutDecision rollout_decide(const RolloutView *v, usec_t now)
{
    RolloutDecision d = { .event = -1, .wake_at = USEC_INFINITY };
    d.event = decide_event(v, now, &d.wake_at);
    if (d.event >= 0 || !rollout_is_sending(v->state))
        return d;
    unsigned in_flight = sum(v, v->n_groups).sent;
    unsigned bearable = rollout_failures_max(v), failed = rollout_failures(v, NULL);
    bearable = bearable > failed ? bearable - failed : 0;
    unsigned limit = v->parallel < bearable ? v->parallel : bearable;
    d.may_send = limit > in_flight ? limit - in_flight : 0;
    return d;
}
