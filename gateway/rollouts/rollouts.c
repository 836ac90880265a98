/* SPDX-License-Identifier: MIT */
/* Giving boxes their turn, and what follows from what becomes of their deployments. */
#include "gateway/rollouts/rollouts.h"

#include <errno.h>

#include "gateway/deployments/deployments-send.h"
#include "gateway/rollouts/rollouts-copy-impl.h"
#include "gateway/rollouts/rollouts-halted.h"
#include "gateway/rollouts/rollouts-save.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"

/* boxes whose absence is written down in one statement */
#define AWAY_BATCH 1000
#define RETRY_DELAY (2 * USEC_PER_SEC)
#define RETRY_DELAY_MAX (10 * USEC_PER_MINUTE)
/* of a box that holds updates back, perhaps for weeks: each time is an entry of its history and of the audit log */
#define HELD_DELAY_MAX USEC_PER_HOUR
/* how often a box that is busy gets its turn anew */
#define ATTEMPTS_MAX 10

static bool is_sending(const char *rollout, void *userdata)
{
    const Rollouts *rs = userdata;
    const Rollout *r = map_get(rs->map, rollout);
    return r && rollout_is_sending(r->view.state);
}

static void count_boxes(const Rollout *r, RolloutCounts counts[static ROLLOUT_GROUPS_MAX])
{
    for (size_t i = 0; i < r->n_boxes; i++) {
        const RolloutBox *box = &r->boxes[i];
        RolloutCounts *c = &counts[box->group];
        unsigned *const by_state[_ROLLOUT_BOX_STATES] = {
            [ROLLOUT_BOX_WAITING] = &c->waiting, [ROLLOUT_BOX_OFFLINE] = &c->offline,
            [ROLLOUT_BOX_SENT] = &c->sent,       [ROLLOUT_BOX_DONE] = &c->done,
            [ROLLOUT_BOX_FAILED] = &c->failed,   [ROLLOUT_BOX_ROLLED_BACK] = &c->failed,
            [ROLLOUT_BOX_SKIPPED] = &c->skipped,
        };
        c->boxes++;
        ++*by_state[box->state];
        if (box->state == ROLLOUT_BOX_DONE && box->group == r->view.group && r->view.state == ROLLOUT_SOAKING &&
            !rollout_box_is_here(r->owner, box->device))
            c->away++;
    }
}

static bool is_unsent(const RolloutBox *box)
{
    return rollout_box_next(box->state, ROLLOUT_BOX_SEND) >= 0;
}

/* Says which boxes that are waited for have been away for too long. Returns when to look again. */
static usec_t find_away(Rollout *r, usec_t now)
{
    usec_t wake_at = USEC_INFINITY;
    _cleanup_(strv_freep) char **gone = NULL;
    for (size_t i = 0, n = 0; n < AWAY_BATCH && i < r->n_boxes && r->boxes[i].group <= r->view.group; i++) {
        RolloutBox *box = &r->boxes[i];
        if (box->state != ROLLOUT_BOX_WAITING)
            continue;
        if (rollout_box_is_here(r->owner, box->device)) {
            box->away_since = 0;
            continue;
        }
        if (box->away_since == 0)
            box->away_since = now;
        if (box->away_since + r->offline_after > now) {
            if (box->away_since + r->offline_after < wake_at)
                wake_at = box->away_since + r->offline_after;
        } else if (strv_add(&gone, box->device) < 0) {
            break; /* the next look finds it again */
        } else {
            n++;
        }
    }
    if (gone)
        rollout_save_away(r, gone);
    return wake_at;
}

/* Whether the agent of this box takes the order; else why not: rollout.old-agent (-EOPNOTSUPP), or what deployments_check_key()
 * fails with. */
static int check_agent(const Rollout *r, const DeviceConn *s, Error *err)
{
    if (r->is_signed && !device_conn_takes(s, ORDER_SIGNED))
        return error_set(
            err, EOPNOTSUPP, "rollout.old-agent",
            "the agent of this box is too old for this order or to check its signature: install a newer one");
    if (r->target)
        return device_conn_takes(s, r->digest ? ORDER_RELEASE : ORDER_AGENT) ? 0
               : r->digest
                   ? error_set(
                         err, EOPNOTSUPP, "rollout.old-agent",
                         "this box runs its services in containers, or its agent is too old for releases from here")
                   : error_set(err, EOPNOTSUPP, "rollout.old-agent",
                               "the agents of this box are not updated from here: they are too old for it, or were not "
                               "installed from packages; update them on the box, as they were installed");
    if (r->update)
        return device_conn_takes(s, ORDER_UPDATE)
                   ? 0
                   : error_set(
                         err, EOPNOTSUPP, "rollout.old-agent",
                         "the agent of this box is too old to take an image update: install a newer one, or push a "
                         "compose file");
    if (r->project && !device_conn_takes(s, ORDER_PROJECT)) /* it would take the file for its own project's */
        return error_set(err, EOPNOTSUPP, "rollout.old-agent",
                         "the agent of this box is too old to keep a project beside its own: install a newer one");
    if (r->digest && !device_conn_takes(s, ORDER_BUNDLE))
        return error_set(err, EOPNOTSUPP, "rollout.old-agent",
                         "the agent of this box is too old for files beside the compose file: install a newer one");
    return r->digest ? deployments_check_key(r->owner->deployments, s, r->digest, err) : 0;
}

/* Of a box that cannot be sent to now. What its agent or its keys are stays so, and it is left out; a disk or memory that fails
 * the gateway says nothing of the box, which is tried again. */
static void skip_or_wait(Rollout *r, RolloutBox *box, int code, const Error *err, usec_t now)
{
    if (code == -EOPNOTSUPP || code == -EINVAL || code == -EBADMSG) {
        if (!r->query)
            rollout_save_skip(r, box, err);
        return;
    }
    box->not_before = now + RETRY_DELAY;
    log_failure(LOG_LEVEL_WARNING, NULL, err, code, "rollout %s: %s waits", r->id, box->device);
}

static void send_box(Rollout *r, RolloutBox *box, usec_t now)
{
    Error err = {};
    const DeploymentOrder order = {
        .rollout = r->id,
        .device = box->device,
        .compose = r->update || r->target ? NULL : r->compose,
        .target = r->target,
        .image = r->image,
        .digest = r->digest,
        .service = r->service,
        .project = r->project,
        .confirm_deadline = r->confirm_deadline,
    };
    int code = deployment_order(r->owner->deployments, &order, &err);
    if (code >= 0) {
        box->before = box->state;
        box->state = ROLLOUT_BOX_SENT;
    } else {
        box->not_before = now + RETRY_DELAY;
        if (code != -ENOTCONN)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, code, "rollout %s: %s waits", r->id, box->device);
    }
    error_done(&err);
}

/* Gives boxes their turn. Returns when to look again. */
static usec_t send_boxes(Rollout *r, unsigned may_send, usec_t now)
{
    usec_t wake_at = USEC_INFINITY;
    for (size_t i = 0; may_send > 0 && i < r->n_boxes && r->boxes[i].group <= r->view.group; i++) {
        RolloutBox *box = &r->boxes[i];
        if (!is_unsent(box) || !rollout_box_is_here(r->owner, box->device) ||
            deployments_is_busy(r->owner->deployments, box->device))
            continue;
        if (box->not_before <= now) {
            _cleanup_(error_done) Error err = {};
            const DeviceConn *s = device_conn_find(r->owner->conns, box->device, ROLE_MGMT);
            int code = check_agent(r, s, &err);
            if (code < 0)
                skip_or_wait(r, box, code, &err, now);
            else
                send_box(r, box, now);
            may_send -= box->state == ROLLOUT_BOX_SENT;
        }
        if (box->not_before > now && box->not_before < wake_at)
            wake_at = box->not_before;
    }
    return wake_at;
}

/* Looks at one rollout. Returns when to look again. */
static usec_t rollout_step(Rollout *r, usec_t now)
{
    RolloutCounts counts[ROLLOUT_GROUPS_MAX] = {};
    if (r->query || r->n_boxes == 0)
        return USEC_INFINITY;
    count_boxes(r, counts);
    r->view.groups = counts;
    RolloutDecision d = rollout_decide(&r->view, now);
    if (d.event >= 0)
        rollout_save_event(r, (RolloutEvent) d.event);
    r->view.groups = NULL;
    if (d.event >= 0 || !rollout_is_sending(r->view.state))
        return d.wake_at;
    usec_t away = find_away(r, now);
    usec_t later = r->query || d.may_send == 0 ? USEC_INFINITY : send_boxes(r, d.may_send, now);
    if (away < later)
        later = away;
    return later < d.wake_at ? later : d.wake_at;
}

static int on_wake(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Rollouts *rs = userdata;
    usec_t now = boottime_usec(), next = USEC_INFINITY;
    void *value;
    rs->wake_at = USEC_INFINITY;
    if (!store_is_up(rs->store))
        return 0; /* loading wakes us */
    for (size_t i = 0; map_next(rs->map, &i, NULL, &value);) {
        usec_t when = rollout_step(value, now);
        next = when < next ? when : next;
    }
    rollouts_wake_at(rs, next, now);
    return 0;
}

static RolloutBox *find_box(const Rollouts *rs, const char *rollout, const char *device, Rollout **ret)
{
    *ret = map_get(rs->map, rollout);
    return *ret ? map_get((*ret)->by_device, device) : NULL;
}

static void retry_later(RolloutBox *box, usec_t delay_max)
{
    usec_t delay = RETRY_DELAY;
    for (unsigned i = 0; i < box->tries && delay < delay_max; i++)
        delay *= 2;
    box->tries++;
    box->not_before = boottime_usec() + (delay < delay_max ? delay : delay_max);
}

static void on_stored(const char *rollout, const char *device, int r, void *userdata)
{
    Rollouts *rs = userdata;
    Rollout *owner;
    RolloutBox *box = find_box(rs, rollout, device, &owner);
    if (!box)
        return;
    if (r >= 0) {
        box->state = ROLLOUT_BOX_SENT;
        rollout_tell(owner);
        return;
    }
    box->state = box->before;
    retry_later(box, RETRY_DELAY_MAX);
    if (r == -EBUSY) /* it was not its turn: the copy is wrong, or the rollout was stopped just now */
        rollouts_reload(rs);
    else
        rollouts_wake(rs);
}

static void on_end(const char *rollout, const char *device, const char *state, void *userdata)
{
    Rollouts *rs = userdata;
    Rollout *r;
    RolloutBox *box = rollout ? find_box(rs, rollout, device, &r) : NULL;
    int now = rollout ? rollout_box_state_from_string(state) : -1;
    if (!rollout) /* the box is free for those that wait for it */
        rollouts_wake(rs);
    if (!box || now < 0)
        return;
    box->state = (RolloutBoxState) now;
    box->away_since = 0;
    if (is_unsent(box))
        retry_later(box, box->state == ROLLOUT_BOX_OFFLINE ? HELD_DELAY_MAX : RETRY_DELAY_MAX);
    rollout_tell(r);
    rollouts_wake(rs);
}

void rollouts_sweep(Rollouts *rs)
{
    if (rs->stale)
        rollouts_reload(rs);
    if (rs->halted_stale)
        rollouts_load_halted(rs);
    rollouts_wake(rs);
}

/* What was given up can still turn out to have worked. */
static void on_ending(DeploymentEnd *end, void *userdata _unused_)
{
    RolloutBoxEvent event = rollout_box_event(end->state, end->status, end->error);
    RolloutBoxState next = (RolloutBoxState) rollout_box_next(ROLLOUT_BOX_SENT, event);
    bool revises = rollout_box_next(ROLLOUT_BOX_FAILED, event) >= 0;
    end->box_state = rollout_box_state_to_string(next);
    end->box_states_before = revises ? "{sent,failed}" : "{sent}";
    end->box_state_at_limit = rollout_box_state_to_string(event == ROLLOUT_BOX_RETRY ? ROLLOUT_BOX_FAILED : next);
    end->attempts_max = ATTEMPTS_MAX;
}

static const DeploymentEvents deployment_events = {
    .is_sending = is_sending,
    .on_stored = on_stored,
    .on_ending = on_ending,
    .on_end = on_end,
};

static void on_agent_status(DeviceConn *s, const cJSON *message _unused_, void *userdata)
{
    rollouts_wake(userdata);
    rollouts_tell_halted(userdata, s);
}

static const DeviceMessage messages[] = {
    { "agent.status", true, on_agent_status },
    {},
};

static void on_removed(const char *device _unused_, void *userdata)
{
    rollouts_reload(userdata);
}

static const DeviceListener listener = { .messages = messages, .on_removed = on_removed };

Rollouts *rollouts_new(sd_event *event, Store *store, Requests *requests, DeviceConns *conns, Deployments *deployments)
{
    Rollouts *rs = calloc(1, sizeof(*rs));
    if (!rs)
        return NULL;
    *rs = (Rollouts) {
        .event = event,
        .store = store,
        .requests = requests,
        .conns = conns,
        .deployments = deployments,
        .on_wake = on_wake,
        .on_loaded = rollouts_load_halted,
        .wake_at = USEC_INFINITY,
        .map = map_new(rollout_free_value),
    };
    if (!rs->map || device_conns_listen(conns, &listener, rs) < 0)
        return rollouts_free(rs);
    deployments_listen(deployments, &deployment_events, rs);
    return rs;
}

Rollouts *rollouts_free(Rollouts *rs)
{
    if (!rs)
        return NULL;
    store_query_free(rs->reload);
    store_query_free(rs->halted_query);
    cJSON_Delete(rs->halted);
    sd_event_source_disable_unref(rs->timer);
    map_free(rs->map);
    free(rs);
    return NULL;
}
