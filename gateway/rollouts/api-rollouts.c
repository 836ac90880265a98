/* SPDX-License-Identifier: MIT */
/* Routes about rollouts: list, show, live, and stop or go on. */
#include "gateway/http/api.h"

#include <errno.h>

#include "gateway/rollouts/rollouts.h"
#include "gateway/store/rollouts-table.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"

#define LIST_LIMIT 20
#define LIST_LIMIT_MAX 200
#define POLL_WAIT_MAX_SECONDS 30
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

void api_rollouts_list(Request *c)
{
    uint64_t limit;
    if (request_query_u64(c, "limit", LIST_LIMIT_MAX, LIST_LIMIT, &limit) < 0)
        return;
    request_query(c, sql_rollouts(limit), on_list);
}

/* What one call keeps between its questions. */
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

static void on_news(Request *c, bool final _unused_)
{
    c->on_news = NULL;
    show_ask(c);
}

static int on_poll_timeout(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Request *c = userdata;
    c->wait_until = 0;
    if (c->on_news)
        on_news(c, false);
    return 0;
}

static void on_shown(Request *c, const StoreRows *rows)
{
    const Show *show = c->scratch;
    if (store_rows_count(rows) == 0) {
        fail_no_rollout(c);
        return;
    }
    usec_t now = boottime_usec();
    if (!str_equal(store_rows_get(rows, 0, 1), show->mark) || c->wait_until <= now) {
        request_answer_text(c, show->status, store_rows_get(rows, 0, 0));
        return;
    }
    c->on_news = on_news;
    request_set_timer(c, c->wait_until - now, on_poll_timeout);
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

void api_rollouts_show(Request *c)
{
    uint64_t wait;
    if (request_query_u64(c, "wait", INT32_MAX, 0, &wait) < 0)
        return;
    if (wait > POLL_WAIT_MAX_SECONDS)
        wait = POLL_WAIT_MAX_SECONDS;
    c->wait_until = wait > 0 ? boottime_usec() + wait * USEC_PER_SEC : 0;
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
        rollouts_reload(c->gateway);
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

void api_rollouts_pause(Request *c)
{
    change_state(c, ROLLOUT_PAUSE, "rollout.paused");
}

void api_rollouts_resume(Request *c)
{
    change_state(c, ROLLOUT_RESUME, "rollout.resumed");
}

void api_rollouts_abort(Request *c)
{
    change_state(c, ROLLOUT_ABORT, "rollout.aborted");
}
