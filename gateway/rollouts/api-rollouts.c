/* SPDX-License-Identifier: MIT */
/* Routes about rollouts: list, show, live, and stop or go on. */
#include "gateway/http/api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "gateway/rollouts/rollouts.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"

#define LIST_LIMIT 20
#define LIST_LIMIT_MAX 200
#define POLL_WAIT_MAX_SECONDS 30
/* of each list of boxes in one answer */
#define BOXES_SHOWN "200"

#define ROLLOUT_JSON                                                                                         \
    "jsonb_strip_nulls(jsonb_build_object('id', r.id, 'kind', r.kind, 'image', r.image, 'digest', r.digest," \
    " 'service', r.service, 'sha256', nullif(r.sha256, ''), 'labels', nullif(r.labels, '{}'::jsonb),"        \
    " 'reason', r.reason, 'state', r.state, 'group', r.group_index,"                                         \
    " 'haltAt', trim(TRAILING '.' FROM to_char(r.halt_at / 100.0, 'FM990.99')) || '%',"                      \
    " 'soakSeconds', r.soak_seconds, 'parallel', r.parallel, 'offlineAfterSeconds', r.offline_after,"        \
    " 'confirmDeadlineSeconds', r.confirm_deadline, 'error', r.halted, 'createdBy', r.created_by,"           \
    " 'createdAt', secbox_time(r.created_at), 'finishedAt', secbox_time(r.finished_at),"                     \
    " 'soakEndsAt', secbox_time(r.soaking_since + make_interval(secs => r.soak_seconds)),"                   \
    " 'groups', (SELECT jsonb_agg(jsonb_build_object('name', g.name, 'boxes', coalesce(b.boxes, 0),"         \
    " 'waiting', coalesce(b.waiting, 0), 'offline', coalesce(b.offline, 0), 'sent', coalesce(b.sent, 0),"    \
    " 'done', coalesce(b.done, 0), 'failed', coalesce(b.failed, 0),"                                         \
    " 'rolledBack', coalesce(b.rolled_back, 0), 'skipped', coalesce(b.skipped, 0)) ORDER BY g.n)"            \
    " FROM jsonb_array_elements_text(r.groups) WITH ORDINALITY g(name, n) LEFT JOIN"                         \
    " (SELECT group_index, count(*) AS boxes, count(*) FILTER (WHERE state = 'waiting') AS waiting,"         \
    " count(*) FILTER (WHERE state = 'offline') AS offline, count(*) FILTER (WHERE state = 'sent') AS sent," \
    " count(*) FILTER (WHERE state = 'done') AS done, count(*) FILTER (WHERE state = 'failed') AS failed,"   \
    " count(*) FILTER (WHERE state = 'rolled-back') AS rolled_back,"                                         \
    " count(*) FILTER (WHERE state = 'skipped') AS skipped"                                                  \
    " FROM rollout_boxes WHERE rollout = r.id GROUP BY group_index) b ON b.group_index = g.n - 1)))"

#define BOXES_JSON(states)                                                                                   \
    "(SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('device', b.device,"                    \
    " 'group', b.group_index, 'state', b.state, 'version', b.version::text, 'attempts', b.attempts,"         \
    " 'error', b.error, 'sentAt', secbox_time(b.sent_at), 'finishedAt', secbox_time(b.finished_at)))"        \
    " ORDER BY b.group_index, b.position), '[]'::jsonb) FROM (SELECT * FROM rollout_boxes"                   \
    " WHERE rollout = r.id AND state IN (" states ") ORDER BY group_index, position LIMIT " BOXES_SHOWN ") b)"

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
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, limit);
    const char *params[] = { text };
    request_query(c,
               "SELECT jsonb_build_object('rollouts', coalesce(jsonb_agg(" ROLLOUT_JSON
               " ORDER BY r.created_at DESC), '[]'::jsonb))"
               " FROM (SELECT * FROM rollouts ORDER BY created_at DESC LIMIT $1::bigint) r",
               params, 1, on_list);
}

/* One rollout as it is now, and a mark that changes with it. */
#define SHOW_SQL                                                                                             \
    "SELECT jsonb_build_object('rollout', x.rollout, 'mark', md5(x.rollout::text)), md5(x.rollout::text)"    \
    " FROM (SELECT " ROLLOUT_JSON " || jsonb_build_object('failures', "                                      \
    BOXES_JSON("'failed', 'rolled-back'") ", 'underWay', " BOXES_JSON("'sent'") ", 'offline', "              \
    BOXES_JSON("'offline'") ", 'skipped', " BOXES_JSON("'skipped'") ") AS rollout"                           \
    " FROM rollouts r WHERE r.id = $1) x"

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
    const char *params[] = { c->args[0] };
    request_query(c, SHOW_SQL, params, 1, on_shown);
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
    if (str_equal(store_rows_get(rows, 0, 1), "t")) {
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
static void change(Request *c, RolloutEvent event, const char *action)
{
    _cleanup_(freep) char *before = states_before(event);
    int next = rollout_next(ROLLOUT_PAUSED, event);
    if (next < 0)
        next = rollout_next(ROLLOUT_RUNNING, event);
    const char *params[] = { c->args[0], before, rollout_state_to_string((RolloutState) next), c->actor, action };
    if (!before) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    request_query(c,
               "WITH u AS (UPDATE rollouts SET state = $3, soaking_since = NULL,"
               " halted = CASE WHEN $3 = 'running' THEN NULL ELSE halted END,"
               " finished_at = CASE WHEN $3 = 'aborted' THEN now() END,"
               " forgiven = CASE WHEN $3 = 'running' THEN (SELECT count(*) FROM rollout_boxes"
               " WHERE rollout = $1 AND state IN ('failed', 'rolled-back')) ELSE forgiven END"
               " WHERE id = $1 AND state = ANY ($2::text[]) RETURNING id, forgiven),"
               " a AS (INSERT INTO audit(actor, action, detail) SELECT $4, $5,"
               " jsonb_build_object('rollout', id, 'forgiven', forgiven) FROM u)"
               " SELECT state, EXISTS (SELECT 1 FROM u) FROM rollouts WHERE id = $1",
               params, ELEMENTSOF(params), on_changed);
}

void api_rollouts_pause(Request *c)
{
    change(c, ROLLOUT_PAUSE, "rollout.paused");
}

void api_rollouts_resume(Request *c)
{
    change(c, ROLLOUT_RESUME, "rollout.resumed");
}

void api_rollouts_abort(Request *c)
{
    change(c, ROLLOUT_ABORT, "rollout.aborted");
}
