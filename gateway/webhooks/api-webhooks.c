/* SPDX-License-Identifier: MIT */
/* A secret that is made here is in the answer to the request that made it, and in no other. */
#include "gateway/webhooks/api-webhooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/communities/api-communities.h"
#include "gateway/store/webhooks-table.h"
#include "gateway/webhooks/webhook-rules.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define LIMIT_MAX 1000
#define LIMIT 100

/* What one request keeps between its steps. */
typedef struct Draft {
    char community[UUID_SIZE];
    char *secret; /* that is new */
    HttpCall *call;
    usec_t started;
} Draft;

static void draft_free(void *draft)
{
    Draft *d = draft;

    http_call_free(d->call);
    secret_free(d->secret);
    free(d);
}

/* NULL: the request is answered. */
static Draft *draft_new(Request *c)
{
    Draft *d = calloc(1, sizeof(*d));

    c->scratch = d;
    c->scratch_free = d ? draft_free : NULL;
    if (!d)
        request_fail(c, -ENOMEM, NULL);
    else if (request_uuid(c, 0, d->community) >= 0)
        return d;
    return NULL;
}

static void fail_no_webhook(Request *c)
{
    Error err = {};

    request_fail(c, error_set(&err, ENOENT, "webhook.not-found", "the community %s has no webhook", c->args[0]), &err);
    error_done(&err);
}

static void on_show(Request *c, const StoreRows *rows)
{
    /* that of a deleted community is shown, so that it can be removed */
    if (store_rows_get(rows, 0, 1))
        request_answer_text(c, 200, store_rows_get(rows, 0, 1));
    else if (store_rows_true(rows, 0, 0))
        fail_no_webhook(c);
    else
        request_fail_no_community(c);
}

static void show(Request *c)
{
    char community[UUID_SIZE];

    if (request_uuid(c, 0, community) >= 0)
        request_query(c, sql_webhook_show(community, c->is_admin), on_show);
}

static void on_set(Request *c, const StoreRows *rows)
{
    const Draft *d = c->scratch;
    const char *text = store_rows_get(rows, 0, 2);
    _cleanup_(cJSON_Deletep) cJSON *body = NULL;

    if (!store_rows_true(rows, 0, 0)) {
        request_fail_no_community(c);
        return;
    }
    webhooks_changed(c->module, d->community);
    if (!text || json_parse_object(text, strlen(text), &body, NULL) < 0 ||
        (d->secret && store_rows_true(rows, 0, 3) && json_add_string(body, "secret", d->secret) < 0))
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, store_rows_true(rows, 0, 1) ? 201 : 200, TAKE_PTR(body));
}

/* What the body asks for; negative with an error. */
static int read_webhook(const cJSON *body, WebhookRow *ret, Error *err)
{
    uint64_t after = 0;
    int r = json_u64(body, "after", &after);

    if (r == -EINVAL || after > INT64_MAX)
        return error_set_at(err, EINVAL, "webhook.bad-member", NULL, 0, "after",
                            "the member \"after\" must be the number of an event");
    ret->after = r < 0 ? -1 : (int64_t) after;
    ret->url = json_string(body, "url");
    ret->secret = json_string(body, "secret");
    if (!ret->url)
        return error_set_at(err, EINVAL, "webhook.bad-member", NULL, 0, "url",
                            "the member \"url\" must be where events are sent to");
    r = webhook_url_check(ret->url, err);
    return r >= 0 && ret->secret ? webhook_secret_check(ret->secret, err) : r;
}

static void set(Request *c)
{
    _cleanup_(error_done) Error err = {};
    WebhookRow row = { .actor = c->actor };
    Draft *d = draft_new(c);
    const cJSON *body = d ? request_parse_body(c) : NULL;

    if (!body)
        return;
    row.community = d->community;
    int r = read_webhook(body, &row, &err);
    if (r >= 0 && !row.secret && !(d->secret = webhook_secret_make()))
        r = -ENOMEM;
    row.own_secret = d->secret;
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_query(c, sql_webhook_set(&row), on_set);
}

static void on_removed(Request *c, const StoreRows *rows)
{
    const Draft *d = c->scratch;

    if (store_rows_count(rows) == 0) {
        fail_no_webhook(c);
        return;
    }
    webhooks_removed(c->module, d->community);
    request_answer_text(c, 200, "{}");
}

static void remove_webhook(Request *c)
{
    const Draft *d = draft_new(c);

    if (d)
        request_query(c, sql_webhook_remove(d->community, c->actor), on_removed);
}

static void on_dead(Request *c, const StoreRows *rows)
{
    if (store_rows_true(rows, 0, 1))
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
    else
        fail_no_webhook(c);
}

static void list_dead(Request *c)
{
    char community[UUID_SIZE];
    uint64_t after, limit;

    if (request_uuid(c, 0, community) >= 0 && request_query_u64(c, "after", INT64_MAX, 0, &after) >= 0 &&
        request_query_u64(c, "limit", LIMIT_MAX, LIMIT, &limit) >= 0)
        request_query(c, sql_webhook_dead_list(community, after, limit > 0 ? limit : 1), on_dead);
}

static void on_retry(Request *c, const StoreRows *rows)
{
    const Draft *d = c->scratch;

    if (!store_rows_true(rows, 0, 1)) {
        fail_no_webhook(c);
        return;
    }
    webhooks_changed(c->module, d->community);
    _cleanup_(freep) char *text = str_format("{\"events\":%s}", store_rows_get(rows, 0, 0));
    if (text)
        request_answer_text(c, 200, text);
    else
        request_fail(c, -ENOMEM, NULL);
}

static void retry(Request *c)
{
    const Draft *d = draft_new(c);
    uint64_t seq;

    if (d && request_query_u64(c, "seq", INT64_MAX, 0, &seq) >= 0)
        request_query(c, sql_webhook_retry(d->community, seq, c->actor), on_retry);
}

static void on_tested(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Request *c = userdata;
    Draft *d = c->scratch;
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();

    d->call = NULL;
    if (r < 0) {
        request_fail_status(c, 502, r, err);
        return;
    }
    if (!body || json_add_bool(body, "taken", webhook_verdict(response->status) == WEBHOOK_TAKEN) < 0 ||
        json_add_int(body, "status", response->status) < 0 ||
        json_add_int(body, "milliseconds", (int) ((boottime_usec() - d->started) / USEC_PER_MSEC)) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
}

static char *test_body(const Draft *d)
{
    char now[TIMESTAMP_SIZE];

    return str_format("{\"type\":\"webhook-test\",\"timestamp\":\"%s\",\"data\":{\"community\":\"%s\"}}",
                      timestamp_format(realtime_usec(), now), d->community);
}

static void on_target(Request *c, const StoreRows *rows)
{
    _cleanup_(error_done) Error err = {};
    Draft *d = c->scratch;

    if (store_rows_count(rows) == 0) {
        fail_no_webhook(c);
        return;
    }
    _cleanup_(freep) char *body = test_body(d);
    d->started = boottime_usec();
    int r = body ? webhooks_send_test(c->module, store_rows_get(rows, 0, 0), store_rows_get(rows, 0, 1), body,
                                      on_tested, c, &d->call, &err)
                 : -ENOMEM;
    if (r < 0)
        request_fail(c, r, &err);
}

static void test(Request *c)
{
    const Draft *d = draft_new(c);

    if (d)
        request_query(c, sql_webhook_target(d->community), on_target);
}

const Route webhook_routes[] = {
    { "GET", "/v1/communities/*/webhook", ACCESS_VIEWER, show, "where its events are sent on to" },
    { "PUT", "/v1/communities/*/webhook", ACCESS_ADMIN, set, "send its events on to a URL" },
    { "DELETE", "/v1/communities/*/webhook", ACCESS_ADMIN, remove_webhook, "send them on no more" },
    { "GET", "/v1/communities/*/webhook/dead", ACCESS_VIEWER, list_dead, "events that the receiver did not take" },
    { "POST", "/v1/communities/*/webhook/retry", ACCESS_OPERATOR, retry, "try these again" },
    { "POST", "/v1/communities/*/webhook/test", ACCESS_OPERATOR, test, "send the receiver a test" },
    {},
};
