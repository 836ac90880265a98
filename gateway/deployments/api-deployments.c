/* SPDX-License-Identifier: MIT */
/* Routes about deployments: push, list, and one of them with its events, live. */
#include "gateway/http/api.h"

#include <errno.h>
#include <string.h>

#include "gateway/deployments/deployments.h"
#include "gateway/store/deployments-table.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/json.h"

#define CONFIRM_DEADLINE_SECONDS 300
#define CONFIRM_DEADLINE_MIN 5
#define REASON_SIZE_MAX 500
/* a push that takes longer is followed with GET …/deployments/VERSION */
#define PUSH_WAIT_MAX (3600 * USEC_PER_SEC)
#define POLL_WAIT_MAX_SECONDS 30
#define LIST_LIMIT 20
#define LIST_LIMIT_MAX 200
static void on_ended(Request *c, const StoreRows *rows)
{
    uint64_t status = 500;
    const char *text = store_rows_count(rows) > 0 ? store_rows_get(rows, 0, 0) : NULL;
    const char *number = text ? store_rows_get(rows, 0, 1) : NULL;
    if (!text) {
        request_fail(c, -EIO, NULL);
        return;
    }
    if (number && str_to_u64(number, 200, 599, &status) < 0)
        status = 500;
    request_answer_text(c, number ? (int) status : 202, text);
}

static void answer_end(Request *c)
{
    c->on_news = NULL;
    c->timer = sd_event_source_disable_unref(c->timer);
    request_query(c, sql_deployment(c->args[0], c->version), on_ended);
}

static void on_end_news(Request *c, bool final)
{
    if (final)
        answer_end(c);
}

static int on_push_timeout(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    answer_end(userdata);
    return 0;
}

void api_wait_for_end(Request *c)
{
    c->on_news = on_end_news;
    request_set_timer(c, PUSH_WAIT_MAX, on_push_timeout);
}

static int push_read(Request *c, const cJSON *body, DeploymentRequest *request, Error *err)
{
    uint64_t deadline = CONFIRM_DEADLINE_SECONDS;
    int r = api_check_compose(body, &request->compose, err);
    if (r < 0)
        return r;
    if (json_u64(body, "confirmDeadlineSeconds", &deadline) == -EINVAL || deadline < CONFIRM_DEADLINE_MIN ||
        deadline > CONFIRM_SECONDS_MAX)
        return error_set(err, EINVAL, "request.bad-deadline", "confirmDeadlineSeconds must be from %d to %d",
                         CONFIRM_DEADLINE_MIN, CONFIRM_SECONDS_MAX);
    request->confirm_deadline = (unsigned) deadline;
    request->reason = json_string(body, "reason");
    if (request->reason && strlen(request->reason) > REASON_SIZE_MAX)
        return error_set(err, EINVAL, "request.bad-reason", "the reason may have at most %d bytes",
                         REASON_SIZE_MAX);
    if (request->reason && !text_is_plain(request->reason))
        return error_set(err, EINVAL, "request.bad-reason",
                         "the reason must be one line without control characters and invisible ones");
    _cleanup_(freep) char *wait = http_query(c->exchange, "wait");
    request->wait = !str_equal(wait, "0");
    return 0;
}

static void fail_not_found(Request *c, const char *id, const char *sentence)
{
    Error err = {};
    error_set(&err, ENOENT, id, "%s", sentence);
    request_fail(c, -ENOENT, &err);
    error_done(&err);
}

void api_snapshot_push(Request *c)
{
    Error err = {};
    DeploymentRequest request = {};
    if (!device_registry_has_device(c->gateway->registry, c->args[0])) {
        fail_not_found(c, "device.not-found", "there is no such device here");
        return;
    }
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    int r = push_read(c, body, &request, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else
        deployment_push(c, &request);
    error_done(&err);
}

static void on_list(Request *c, const StoreRows *rows)
{
    if (!store_rows_true(rows, 0, 1))
        fail_not_found(c, "device.not-found", "there is no such device here");
    else
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

void api_deployments_list(Request *c)
{
    uint64_t limit;
    if (request_query_u64(c, "limit", LIST_LIMIT_MAX, LIST_LIMIT, &limit) < 0)
        return;
    request_query(c, sql_deployments(c->args[0], limit), on_list);
}

static void poll_ask(Request *c);

static void on_poll_news(Request *c, bool final _unused_)
{
    c->on_news = NULL;
    poll_ask(c);
}

static int on_poll_timeout(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Request *c = userdata;
    c->wait_until = 0;
    if (c->on_news)
        on_poll_news(c, false);
    return 0;
}

static void on_polled(Request *c, const StoreRows *rows)
{
    if (store_rows_count(rows) == 0) {
        fail_not_found(c, "deployment.not-found", "this device has no such deployment");
        return;
    }
    usec_t now = boottime_usec();
    bool open = str_equal(store_rows_get(rows, 0, 1), "open");
    bool empty = store_rows_true(rows, 0, 2);
    if (!open || !empty || c->wait_until <= now) {
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
        return;
    }
    c->on_news = on_poll_news;
    request_set_timer(c, c->wait_until - now, on_poll_timeout);
}

static void poll_ask(Request *c)
{
    request_query(c, sql_deployment_events(c->args[0], c->version, (int64_t) c->after), on_polled);
}

void api_deployments_show(Request *c)
{
    uint64_t after, wait;
    _cleanup_(freep) char *given = http_query(c->exchange, "after");
    if (str_to_u64(c->args[1], 1, INT64_MAX, &c->version) < 0) {
        fail_not_found(c, "deployment.not-found", "a deployment is named by its version, a number");
        return;
    }
    if (request_query_u64(c, "after", INT32_MAX, 0, &after) < 0 ||
        request_query_u64(c, "wait", INT32_MAX, 0, &wait) < 0)
        return;
    /* a box may count from 0: without "after" every event is asked for */
    c->after = given ? after : (uint64_t) -1;
    if (wait > POLL_WAIT_MAX_SECONDS)
        wait = POLL_WAIT_MAX_SECONDS;
    c->wait_until = wait > 0 ? boottime_usec() + wait * USEC_PER_SEC : 0;
    poll_ask(c);
}
