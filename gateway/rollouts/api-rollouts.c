/* SPDX-License-Identifier: MIT */
/* See api-rollouts.h. */
#include "gateway/rollouts/api-rollouts.h"

#include <errno.h>

#include "gateway/rollouts/rollout-plan.h"
#include "gateway/rollouts/rollouts.h"
#include "gateway/store/rollouts-table.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define LIST_LIMIT 20
#define LIST_LIMIT_MAX 200
static void fail_no_rollout(Request *c)
{
    Error err = {};
    error_set(&err, ENOENT, "rollout.not-found", "there is no such rollout here");
    request_fail(c, -ENOENT, &err);
    error_done(&err);
}

static void on_list(Request *c, const StoreRows *rows)
{
    request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

static void list(Request *c)
{
    uint64_t limit;
    if (request_query_u64(c, "limit", LIST_LIMIT_MAX, LIST_LIMIT, &limit) < 0)
        return;
    request_query(c, sql_rollouts(limit, c->labels), on_list);
}

/* What one request keeps between its questions. */
typedef struct Show {
    int status;
    char *mark; /* that the client has, or NULL */
} Show;

static void show_free(void *scratch)
{
    Show *show = scratch;
    free(show->mark);
    free(show);
}

static void show_ask(Request *c);

static void on_news(Request *c, const void *news)
{
    if (!news)
        c->poll_until = 0;
    show_ask(c);
}

static void on_shown(Request *c, const StoreRows *rows)
{
    const Show *show = c->scratch;
    if (store_rows_count(rows) == 0) {
        fail_no_rollout(c);
        return;
    }
    usec_t now = boottime_usec();
    if (!str_equal(store_rows_get(rows, 0, 1), show->mark) || c->poll_until <= now) {
        request_answer_text(c, show->status, store_rows_get(rows, 0, 0));
        return;
    }
    request_wait(c, c->poll_until - now, on_news, ROLLOUT_TOPIC, c->args[0]);
}

static void show_ask(Request *c)
{
    request_query(c, sql_rollout(c->args[0]), on_shown);
}

static void show_start(Request *c, int status, char *mark)
{
    Show *show = calloc(1, sizeof(*show));
    if (!show) {
        free(mark);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    *show = (Show) { status, mark };
    if (c->scratch)
        c->scratch_free(c->scratch);
    c->scratch = show;
    c->scratch_free = show_free;
    show_ask(c);
}

void api_rollout_answer(Request *c, int status)
{
    show_start(c, status, NULL);
}

static void show(Request *c)
{
    if (request_query_wait(c) < 0)
        return;
    show_start(c, 200, http_query(c->exchange, "after"));
}

static void on_changed(Request *c, const StoreRows *rows)
{
    const char *state = store_rows_count(rows) > 0 ? store_rows_get(rows, 0, 0) : NULL;
    if (!state) {
        fail_no_rollout(c);
        return;
    }
    if (store_rows_true(rows, 0, 1)) {
        rollouts_reload(c->module);
        api_rollout_answer(c, 200);
        return;
    }
    Error err = {};
    error_set(&err, EBUSY, "rollout.state", "the rollout %s is %s: this is not possible now", c->args[0], state);
    request_fail(c, -EBUSY, &err);
    error_done(&err);
}

/* As {"a","b"} for PostgreSQL: the states that an event is possible in. */
static char *states_before(RolloutEvent event)
{
    _cleanup_(strv_freep) char **states = NULL;
    for (int i = 0; i < _ROLLOUT_STATES; i++)
        if (rollout_next((RolloutState) i, event) >= 0 &&
            strv_add(&states, rollout_state_to_string((RolloutState) i)) < 0)
            return NULL;
    _cleanup_(freep) char *list = strv_join(states, ",");
    return list ? str_format("{%s}", list) : NULL;
}

/* A resume forgives the failures so far: who resumes has looked at them. */
static void change_state(Request *c, RolloutEvent event, const char *action)
{
    _cleanup_(freep) char *before = states_before(event);
    int next = rollout_next(ROLLOUT_PAUSED, event);
    if (next < 0)
        next = rollout_next(ROLLOUT_RUNNING, event);
    if (!before) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    const RolloutChange change = {
        .id = c->args[0],
        .states_before = before,
        .state = rollout_state_to_string((RolloutState) next),
        .actor = c->actor,
        .action = action,
        .forgive = event == ROLLOUT_RESUME,
        .finished = event == ROLLOUT_ABORT,
    };
    request_query(c, sql_rollout_change(&change), on_changed);
}

static void pause_rollout(Request *c)
{
    change_state(c, ROLLOUT_PAUSE, "rollout.paused");
}

static void resume_rollout(Request *c)
{
    change_state(c, ROLLOUT_RESUME, "rollout.resumed");
}

static void abort_rollout(Request *c)
{
    change_state(c, ROLLOUT_ABORT, "rollout.aborted");
}

const Route rollout_routes[] = {
    { "GET", "/v1/rollouts", ACCESS_VIEWER, list, "rollouts, newest first" },
    { "GET", "/v1/rollouts/*", ACCESS_VIEWER, show, "one rollout, live" },
    { "POST", "/v1/rollouts/*/pause", ACCESS_DEPLOY, pause_rollout, "send to no more boxes for now" },
    { "POST", "/v1/rollouts/*/resume", ACCESS_DEPLOY, resume_rollout, "go on" },
    { "POST", "/v1/rollouts/*/abort", ACCESS_DEPLOY, abort_rollout, "end it for good" },
    {},
};
