/* SPDX-License-Identifier: MIT */
/* See rollouts-save.h. */
#include "gateway/rollouts/rollouts-save.h"

#include <errno.h>

#include "gateway/rollouts/rollouts-copy-impl.h"
#include "gateway/rollouts/rollouts-halted.h"
#include "gateway/store/rollouts-table.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* A change is not there, or nobody knows whether it is: what is in the database counts. */
static void copy_again(Rollout *r, int code, const Error *err)
{
    if (code < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, code, "a change of rollout %s is not written", r->id);
    if (code != -ENOTCONN) /* else it is loaded when the database is back */
        rollouts_reload(r->owner);
}

static void on_event_saved(StoreQuery *q _unused_, int code, const StoreRows *rows, const Error *err, void *userdata)
{
    Rollout *r = userdata;
    r->query = NULL;
    if (code < 0 || store_rows_count(rows) == 0) {
        copy_again(r, code, err);
        return;
    }
    RolloutEvent event = (RolloutEvent) r->event;
    r->view.state = (RolloutState) rollout_next(r->view.state, event);
    if (event == ROLLOUT_SOAKED)
        r->view.group++;
    if (event == ROLLOUT_COMPLETE)
        r->view.soaking_since = boottime_usec();
    rollout_log(r, event == ROLLOUT_HALT ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE, rollout_state_to_string(r->view.state));
    rollout_tell(r);
    rollouts_wake(r->owner);
    if (event == ROLLOUT_HALT)
        rollouts_load_halted(r->owner);
}

/* Why it halts; NULL for every other event. */
static cJSON *reason_for(const Rollout *r, RolloutEvent event)
{
    if (event != ROLLOUT_HALT)
        return NULL;
    Error err = {};
    const RolloutView *v = &r->view;
    const char *since = v->forgiven > 0 ? " since it was resumed" : "";
    unsigned attempted, failed = rollout_failures(v, &attempted);
    unsigned whole = v->halt_at / ROLLOUT_PERCENT, part = v->halt_at % ROLLOUT_PERCENT;
    if (rollout_share_halts(v))
        error_set(&err, ECANCELED, "rollout.halted",
                  "%u of the %u boxes that have ended%s failed or rolled back, which is more than %u.%02u %%:"
                  " look at them, then resume or abort the rollout",
                  failed, attempted, since, whole, part);
    else
        error_set(&err, ECANCELED, "rollout.halted",
                  "%u boxes failed or rolled back%s, and of all %u it halts at %u (%u.%02u %%, at least one):"
                  " look at them, then resume or abort the rollout",
                  failed, since, rollout_boxes(v), rollout_failures_max(v), whole, part);
    cJSON *reason = json_from_error(&err, -ECANCELED);
    error_done(&err);
    return reason;
}

static cJSON *detail_for(const Rollout *r, const cJSON *reason)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    if (!o || json_add_string(o, "rollout", r->id) < 0 || json_add_string(o, "group", r->groups[r->view.group]) < 0 ||
        json_add_string(o, "reason", json_string(reason, "message")) < 0)
        return NULL;
    return TAKE_PTR(o);
}

void rollout_save_event(Rollout *r, RolloutEvent event)
{
    static const char *const actions[_ROLLOUT_EVENTS] = {
        [ROLLOUT_COMPLETE] = "rollout.soaking",
        [ROLLOUT_SOAKED] = "rollout.next-group",
        [ROLLOUT_FINISH] = "rollout.done",
        [ROLLOUT_HALT] = "rollout.halted",
    };
    _cleanup_(cJSON_Deletep) cJSON *reason = reason_for(r, event), *detail = detail_for(r, reason);
    _cleanup_(freep) char *reason_text = reason ? json_print(reason) : NULL;
    _cleanup_(freep) char *detail_text = detail ? json_print(detail) : NULL;
    int next = rollout_next(r->view.state, event);
    if (next < 0 || !detail_text || (event == ROLLOUT_HALT && !reason_text))
        return;
    const RolloutStep step = {
        .id = r->id,
        .state_before = rollout_state_to_string(r->view.state),
        .state = rollout_state_to_string((RolloutState) next),
        .group_before = r->view.group,
        .next_group = event == ROLLOUT_SOAKED,
        .soaks = next == ROLLOUT_SOAKING,
        .finished = next == ROLLOUT_DONE,
        .halted = reason_text,
        .action = actions[event],
        .detail = detail_text,
    };
    Error err = {};
    r->event = (int) event;
    int code = store_query(r->owner->store, sql_rollout_step(&step), on_event_saved, r, &r->query, &err);
    if (code < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, code, "a change of rollout %s waits", r->id);
    error_done(&err);
}

/* Rows: the boxes that changed. */
static void boxes_become(Rollout *r, int code, const StoreRows *rows, const Error *err, RolloutBoxState state)
{
    r->query = NULL;
    if (code < 0) {
        copy_again(r, code, err);
        return;
    }
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        RolloutBox *box = map_get(r->by_device, store_rows_get(rows, i, 0));
        if (box)
            box->state = state;
    }
    if (store_rows_count(rows) == 0)
        rollouts_reload(r->owner);
    rollout_tell(r);
    rollouts_wake(r->owner);
}

static void on_away_saved(StoreQuery *q _unused_, int code, const StoreRows *rows, const Error *err, void *userdata)
{
    boxes_become(userdata, code, rows, err, ROLLOUT_BOX_OFFLINE);
}

static void on_skip_saved(StoreQuery *q _unused_, int code, const StoreRows *rows, const Error *err, void *userdata)
{
    boxes_become(userdata, code, rows, err, ROLLOUT_BOX_SKIPPED);
}

void rollout_save_away(Rollout *r, char *const *devices)
{
    Error err = {};
    _cleanup_(freep) char *joined = strv_join(devices, ","), *list = joined ? str_format("{%s}", joined) : NULL;
    int code =
        list ? store_query(r->owner->store, sql_rollout_boxes_away(r->id, list), on_away_saved, r, &r->query, &err)
             : -ENOMEM;
    if (code < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, code, "rollout %s: boxes that are away wait", r->id);
    error_done(&err);
}

void rollout_save_skip(Rollout *r, RolloutBox *box, const Error *why)
{
    Error err = {};
    _cleanup_(cJSON_Deletep) cJSON *reason = json_from_error(why, -EOPNOTSUPP);
    _cleanup_(freep) char *text = reason ? json_print(reason) : NULL;
    int code = !text ? -ENOMEM
                     : store_query(r->owner->store, sql_rollout_box_skip(r->id, box->device, text), on_skip_saved, r,
                                   &r->query, &err);
    if (code < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, code, "rollout %s: %s waits", r->id, box->device);
    error_done(&err);
}
