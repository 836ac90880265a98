/* SPDX-License-Identifier: MIT */
/* When a round begins, and what it is about. */

#include "mgmt-agent/agent/image-watch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/agent/image-watch-impl.h"
#include "mgmt-agent/state/failed-images.h"
#include "mgmt-agent/state/way-back.h"

/* Settings are read again so often, and a wall clock that was set is noticed. */
#define WAKE_MAX_USEC (10 * USEC_PER_MINUTE)
#define WAKE_MIN_USEC (100 * USEC_PER_MSEC)
#define WAKE_BAD_SETTINGS_USEC USEC_PER_MINUTE
/* What is done by hand is let finish. A container that dies again and again is looked at less and less often. */
#define MANUAL_PAUSE_USEC (5 * USEC_PER_SEC)
#define MANUAL_REST_MAX_USEC (5 * USEC_PER_MINUTE)
#define OWN_ECHO_USEC (2 * USEC_PER_SEC)

void round_done(Round *r)
{
    strv_free(r->only);
    cJSON_Delete(r->skipped);
    cJSON_Delete(r->queue);
    cJSON_Delete(r->results);
    free(r->update_id);
    free(r->id);
    *r = (Round) {};
}

bool round_includes(const Round *r, const char *service)
{
    return !r->only || strv_contains(r->only, service);
}

int watch_save(Watch *w)
{
    _cleanup_(error_done) Error err = {};
    int r = watch_state_save(&w->state, &err);

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot write down what is known of updates");
    return r;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void wake_in(Watch *w, usec_t delay)
{
    int r = timer_arm(w->agent->event, &w->timer, delay, on_timer, w);

    if (r < 0)
        log_error("Cannot arm the watcher's timer: %s", strerror(-r));
}

void watch_arm(Watch *w)
{
    wake_in(w, 0);
}

static bool may_begin(const Watch *w)
{
    return !agent_watch_is_at_work(w->agent) && !agent_is_busy(w->agent) && w->agent->boot.done &&
           w->agent->journal.state != DEPLOY_RECOVERY;
}

bool watch_is_at_work(const Watch *w)
{
    return w && w->round.step != ROUND_NONE;
}

/* Once for each deployment: what has ended since was seen, and does not have to be seen at every wake. */
static void follow(Watch *w, const Current *current)
{
    const char *id = current ? current->id : NULL;

    if (current && str_equal(id ? id : "", w->followed))
        return;
    free(w->followed);
    w->followed = current ? strdup(id ? id : "") : NULL;
    manual_changes_follow(w->manual, current);
}

/* A failure is said once for each reason. */
int watch_refresh(Watch *w, WatchConfig *ret)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(error_done) Error err = {};
    int r = watch_load_config(w, ret, &err);

    if (r < 0) {
        if (!str_equal(w->complaint, error_message(&err, r))) {
            log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "No image is updated until the settings are right");
            free(w->complaint);
            w->complaint = strdup(error_message(&err, r));
        }
        return r;
    }
    free(w->complaint);
    w->complaint = NULL;
    r = current_load(&current, &err);
    if (r == 0)
        r = watch_state_follow(&w->state, ret, current);
    if (r < 0) {
        watch_config_done(ret);
        return r;
    }
    follow(w, current);
    return 0;
}

/* When an entry wants something: wall clock, USEC_INFINITY for never. */
static usec_t entry_due(const WatchConfig *c, const WatchEntry *e, const FailedImages *failed, usec_t now)
{
    const char *why;
    usec_t at = USEC_INFINITY;

    switch (watch_decide(c, e, failed, false, now, &at, &why)) {
    case WATCH_TAKE:
        return watch_is_put_off(c, e, now) ? e->retry_at : now;
    case WATCH_WAIT:
        return at;
    case WATCH_NOTHING:
        /* nothing is known of it: its registry could not be asked */
        if (!why && e->retry_at > 0)
            return watch_is_put_off(c, e, now) || e->retry_at <= now ? e->retry_at : now;
    }
    return USEC_INFINITY;
}

static usec_t manual_changes_due(const Watch *w)
{
    usec_t rested = w->manual_changes_inspected > 0 ? w->manual_changes_inspected + w->manual_changes_rest : 0;
    usec_t seen = w->manual_changes_seen + MANUAL_PAUSE_USEC;

    if (w->manual_changes_seen == 0)
        return USEC_INFINITY;
    return seen > rested ? seen : rested;
}

/* What is due now, as a round; false when nothing is, and *ret_delay says for how long. */
static bool find_due(Watch *w, const WatchConfig *c, Round *ret, usec_t *ret_delay)
{
    usec_t now = realtime_usec(), up = boottime_usec(), hand = manual_changes_due(w), first;
    _cleanup_(failed_done) FailedImages failed = {};

    if (hand <= up) {
        bool again = w->manual_changes_inspected > 0 && up - w->manual_changes_inspected < 3 * w->manual_changes_rest;

        w->manual_changes_rest = !again                                              ? MANUAL_PAUSE_USEC
                                 : w->manual_changes_rest * 2 < MANUAL_REST_MAX_USEC ? w->manual_changes_rest * 2
                                                                                     : MANUAL_REST_MAX_USEC;
        w->manual_changes_inspected = up;
        return true;
    }
    first = watch_next_check(c, w->state.last_check, w->started, w->random, now);
    if (first <= now) {
        ret->ask = ret->all = true;
        return true;
    }
    failed_load(&failed);
    for (size_t i = 0; i < w->state.n_entries; i++) {
        const WatchEntry *e = &w->state.entries[i];
        usec_t due = entry_due(c, e, &failed, now);

        if (due <= now && strv_add(&ret->only, e->service) == 0)
            ret->ask = true;
        first = due < first ? due : first;
    }
    *ret_delay = first - now;
    if (hand != USEC_INFINITY && hand - up < *ret_delay)
        *ret_delay = hand - up;
    return ret->ask;
}

static void tick(Watch *w)
{
    _cleanup_(watch_config_done) WatchConfig c = {};
    usec_t delay = WAKE_MAX_USEC;
    Round due = {};

    if (may_begin(w) && w->waiting.id) {
        Round order = w->waiting;

        w->waiting = (Round) {};
        watch_begin(w, &order);
        return;
    }
    /* nothing is brought to one that somebody has stopped: that would start it */
    if (!project_is_stopped() && may_begin(w) && watch_refresh(w, &c) == 0 && find_due(w, &c, &due, &delay)) {
        watch_begin(w, &due);
        return;
    }
    if (w->complaint)
        delay = WAKE_BAD_SETTINGS_USEC;
    delay = delay < WAKE_MIN_USEC ? WAKE_MIN_USEC : delay > WAKE_MAX_USEC ? WAKE_MAX_USEC : delay;
    wake_in(w, delay);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    Watch *w = userdata;
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);

    (void) source;
    (void) usec;
    if (w->round.step == ROUND_UPDATE)
        watch_next_update(w);
    else if (w->round.step == ROUND_NONE)
        tick(w);
    return 0;
}

void watch_continue(Watch *w)
{
    if (!w)
        return;
    w->own_end = boottime_usec();
    watch_arm(w);
}

static void tell_asker(const Watch *w, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *copy = w->round.asker ? cJSON_Duplicate(message, 1) : NULL;

    if (!copy)
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "id");
    if (json_add_string(copy, "id", w->round.id) == 0)
        control_send(w->round.asker, copy);
}

static bool is_of_round(const Watch *w, const cJSON *message)
{
    return w && w->round.update_id && str_equal(json_string(message, "id"), w->round.update_id);
}

void watch_note_progress(Watch *w, const cJSON *message)
{
    if (is_of_round(w, message))
        tell_asker(w, message);
}

static void note_own_result(Watch *w, const cJSON *result)
{
    const cJSON *item;

    tell_asker(w, result);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(result, "updates")) {
        WatchEntry *e = watch_state_entry(&w->state, json_string(item, "service"));

        if (e && watch_entry_note_result(e, result) < 0)
            log_warning("Out of memory noting how an update ended");
    }
    if (json_append(w->round.results, cJSON_Duplicate(result, 1)) < 0)
        log_warning("Out of memory noting how an update ended");
    free(w->round.update_id);
    w->round.update_id = NULL;
}

static bool is_of_snapshot(const cJSON *result)
{
    const char *kind = json_string(result, "kind");

    return !kind || str_equal(kind, KIND_ROLLBACK);
}

void watch_note_result(Watch *w, const cJSON *result)
{
    if (!w)
        return;
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
    if (is_of_round(w, result))
        note_own_result(w, result);
    if (json_bool(result, "noop", false))
        return;
    if (!is_of_snapshot(result) || !str_equal(json_string(result, "outcome"), "done")) {
        watch_state_forget_names(&w->state);
        w->manual_changes_seen = boottime_usec();
    }
    (void) watch_save(w);
}

void watch_note_others_result(Watch *w, const cJSON *result)
{
    if (!w || json_bool(result, "noop", false))
        return;
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
    watch_state_forget_names(&w->state);
    (void) watch_save(w);
}

void watch_forget_client(Watch *w, const ControlClient *c)
{
    if (!w)
        return;
    if (w->round.asker == c)
        w->round.asker = NULL;
    if (w->waiting.asker == c)
        w->waiting.asker = NULL;
}

static void on_manual_change(bool process, void *userdata)
{
    Watch *w = userdata;

    /* our own doing looks like anybody's, and podman's lists may be a moment behind it */
    if (w->manual_changes_seen > 0 || w->agent->deploying || (!process && boottime_usec() < w->own_end + OWN_ECHO_USEC))
        return;
    w->manual_changes_seen = boottime_usec();
    if (w->round.step == ROUND_NONE)
        watch_arm(w);
}

Watch *watch_free(Watch *w)
{
    if (!w)
        return NULL;
    runner_free(w->runner);
    cJSON_Delete(w->answer);
    round_done(&w->round);
    round_done(&w->waiting);
    manual_changes_free(w->manual);
    watch_state_done(&w->state);
    sd_event_source_disable_unref(w->timer);
    free(w->complaint);
    free(w->followed);
    free(w->project);
    free(w);
    return NULL;
}

int watch_new(Agent *a, const char *project, usec_t interval_usec, Watch **ret, Error *err)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(project);
    _cleanup_(watch_freep) Watch *w = calloc(1, sizeof(*w));
    int r;

    if (!w || (project && !(w->project = strdup(project))))
        return error_set(err, ENOMEM, "agent.start", "no memory");
    w->agent = a;
    w->interval = interval_usec;
    w->started = realtime_usec();
    random_bytes(&w->random, sizeof(w->random));
    watch_state_load(&w->state);
    r = manual_changes_new(a->event, on_manual_change, w, &w->manual);
    if (r < 0)
        return error_set(err, r, "agent.start", "cannot start the watcher: %s", strerror(-r));
    watch_arm(w);
    *ret = TAKE_PTR(w);
    return 0;
}
