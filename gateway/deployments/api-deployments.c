/* SPDX-License-Identifier: MIT */
/* See api-deployments.h. */
#include "gateway/deployments/api-deployments.h"

#include <errno.h>
#include <string.h>

#include "gateway/deployments/change-request.h"
#include "gateway/deployments/deployment.h"
#include "gateway/deployments/deployments-send.h"
#include "gateway/deployments/deployments-waiting.h"
#include "gateway/http/compose-body.h"
#include "gateway/http/order-body.h"
#include "gateway/http/project-body.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* a push that takes longer is followed with GET …/deployments/VERSION */
#define PUSH_WAIT_MAX (3600 * USEC_PER_SEC)
#define LIST_LIMIT 20
#define LIST_LIMIT_MAX 200

/* What a request keeps while it follows a deployment. */
typedef struct Follow {
    uint64_t version;
    int64_t after;  /* events from here on */
    bool wait;      /* a push: answer with the result, not at once */
    char *envelope; /* what was signed, or NULL */
} Follow;

static void follow_free(void *scratch)
{
    Follow *f = scratch;
    if (f)
        free(f->envelope);
    free(f);
}

static Follow *follow_new(Request *c)
{
    Follow *f = calloc(1, sizeof(*f));
    c->scratch = f;
    c->scratch_free = follow_free;
    return f;
}

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

static void on_end_news(Request *c, const void *news)
{
    const Follow *f = c->scratch;
    if (!news || ((const DeploymentNews *) news)->final)
        request_query(c, sql_deployment(c->args[0], f->version), on_ended);
}

static void answer_sent(Request *c, const Deployment *d)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    cJSON *o = body ? cJSON_AddObjectToObject(body, "deployment") : NULL;
    if (!o || json_add_string(o, "id", d->id) < 0 || json_add_u64(o, "version", d->version) < 0 ||
        json_add_string(o, "device", d->device) < 0 || json_add_string(o, "state", "open") < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 202, TAKE_PTR(body));
}

static void on_sent(Request *c, const Deployment *d)
{
    Follow *f = c->scratch;
    f->version = d->version;
    if (f->wait || d->result)
        request_wait(c, PUSH_WAIT_MAX, on_end_news, DEPLOYMENT_TOPIC, c->args[0], f->version);
    else
        answer_sent(c, d);
}

/* What ended in the meantime, a cancellation or an older push, has taken the device out. One too many costs a question. */
static void on_waits(Request *c, const StoreRows *rows)
{
    const DeploymentsApi *api = c->module;
    if (store_rows_count(rows) == 0)
        request_fail(c, -ENOENT, NULL);
    else if (deployments_expect_waiting(api->deployments, c->args[0]) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer_text(c, 202, store_rows_get(rows, 0, 0));
}

static int change_read(Request *c, const cJSON *body, DeploymentRequest *request, Error *err)
{
    int r = change_request_read(body, request, err);
    if (r < 0)
        return r;
    _cleanup_(freep) char *wait = http_query(c->exchange, "wait");
    _cleanup_(freep) char *offline = http_query(c->exchange, "offline");
    Follow *f = follow_new(c);
    if (!f)
        return error_from_errno(err, -ENOMEM, "pushing");
    f->wait = !str_equal(wait, "0");
    r = order_body_read(body, &f->envelope, err);
    if (r < 0)
        return r;
    request->envelope = f->envelope;
    request->may_wait = str_equal(offline, "wait");
    request->on_sent = on_sent;
    request->on_waits = on_waits;
    return 0;
}

/* Whether a box that is away takes files is known when it comes. */
static int bundle_read(const Request *c, const cJSON *body, DeploymentRequest *request, Error *err)
{
    const DeploymentsApi *api = c->module;
    return bundles_check(api->bundles, cJSON_GetObjectItemCaseSensitive(body, "bundle"), &request->bundle, err);
}

static int push_read(Request *c, const cJSON *body, DeploymentRequest *request, Error *err)
{
    int r = compose_body_check(body, &request->compose, err);
    if (r >= 0)
        r = change_read(c, body, request, err);
    if (r >= 0)
        r = project_body_read(body, &request->project, err);
    return r < 0 ? r : bundle_read(c, body, request, err);
}

static int rollback_read(Request *c, const cJSON *body, DeploymentRequest *request, Error *err)
{
    int r = change_request_read_target(body, &request->target, err);
    request->kind = DEPLOYMENT_ROLLBACK;
    if (r >= 0)
        r = change_read(c, body, request, err);
    return r < 0 ? r : project_body_read(body, &request->project, err);
}

static int agent_read(Request *c, const cJSON *body, DeploymentRequest *request, Error *err)
{
    int r = change_request_read_package(body, &request->target, err);
    request->kind = DEPLOYMENT_AGENT;
    return r < 0 ? r : change_read(c, body, request, err);
}

/* Its archive is here. */
static int release_read(Request *c, const cJSON *body, DeploymentRequest *request, Error *err)
{
    const DeploymentsApi *api = c->module;
    int r = change_request_read_release(body, &request->target, err);

    request->kind = DEPLOYMENT_RELEASE;
    if (r >= 0)
        r = change_read(c, body, request, err);
    if (r >= 0)
        r = bundles_check_release(api->bundles, cJSON_GetObjectItemCaseSensitive(body, "bundle"), &request->bundle,
                                  err);
    return r >= 0 && !request->bundle
               ? error_set(err, EINVAL, "bundle.bad-digest", "\"bundle\" must name the archive of the release")
               : r;
}

static void fail_not_found(Request *c, const char *id, const char *sentence)
{
    Error err = {};
    error_set(&err, ENOENT, id, "%s", sentence);
    request_fail(c, -ENOENT, &err);
    error_done(&err);
}

static void change(Request *c, int (*read)(Request *c, const cJSON *body, DeploymentRequest *request, Error *err))
{
    const DeploymentsApi *api = c->module;
    Error err = {};
    DeploymentRequest request = {};
    if (!device_registry_has_device(api->registry, c->args[0])) {
        fail_not_found(c, "device.not-found", "there is no such device here");
        return;
    }
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    int r = read(c, body, &request, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else if (!deployment_waits(api->deployments, c, &request))
        deployment_push(api->deployments, c, &request);
    error_done(&err);
}

static void push(Request *c)
{
    change(c, push_read);
}

static void roll_back(Request *c)
{
    change(c, rollback_read);
}

static void update_agent(Request *c)
{
    change(c, agent_read);
}

static void update_release(Request *c)
{
    change(c, release_read);
}

static void on_list(Request *c, const StoreRows *rows)
{
    if (!store_rows_true(rows, 0, 1))
        fail_not_found(c, "device.not-found", "there is no such device here");
    else
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

static void list(Request *c)
{
    uint64_t limit;
    _cleanup_(freep) char *project = http_query(c->exchange, "project");
    _cleanup_(error_done) Error err = {};
    int r = project ? project_name_check(project, &err) : 0;
    if (r < 0) {
        request_fail(c, r, &err);
        return;
    }
    if (request_query_u64(c, "limit", LIST_LIMIT_MAX, LIST_LIMIT, &limit) < 0)
        return;
    request_query(c, sql_deployments(c->args[0], project, limit), on_list);
}

static void poll_ask(Request *c);

static void on_poll_news(Request *c, const void *news)
{
    if (!news)
        c->poll_until = 0;
    poll_ask(c);
}

static void on_polled(Request *c, const StoreRows *rows)
{
    if (store_rows_count(rows) == 0) {
        fail_not_found(c, "deployment.not-found", "this device has no such deployment");
        return;
    }
    const Follow *f = c->scratch;
    usec_t now = boottime_usec();
    bool open = str_equal(store_rows_get(rows, 0, 1), "open");
    bool empty = store_rows_true(rows, 0, 2);
    if (!open || !empty || c->poll_until <= now) {
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
        return;
    }
    request_wait(c, c->poll_until - now, on_poll_news, DEPLOYMENT_TOPIC, c->args[0], f->version);
}

static void poll_ask(Request *c)
{
    const Follow *f = c->scratch;
    request_query(c, sql_deployment_events(c->args[0], f->version, f->after), on_polled);
}

static void show(Request *c)
{
    uint64_t after;
    _cleanup_(freep) char *given = http_query(c->exchange, "after");
    Follow *f = follow_new(c);
    if (!f) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    if (str_to_u64(c->args[1], 1, INT64_MAX, &f->version) < 0) {
        fail_not_found(c, "deployment.not-found", "a deployment is named by its version, a number");
        return;
    }
    if (request_query_u64(c, "after", INT32_MAX, 0, &after) < 0 || request_query_wait(c) < 0)
        return;
    /* a box may count from 0: without "after" every event is asked for */
    f->after = given ? (int64_t) after : -1;
    poll_ask(c);
}

const Route deployment_routes[] = {
    { "POST", "/v1/devices/*/compose-snapshot", ACCESS_DEPLOY, push, "push a compose file" },
    { "POST", "/v1/devices/*/rollback", ACCESS_DEPLOY, roll_back, "back to what it ran before" },
    { "POST", "/v1/devices/*/agent-update", ACCESS_DEPLOY, update_agent, "a newer version of what looks after it" },
    { "POST", "/v1/devices/*/release", ACCESS_DEPLOY, update_release, "a release, for a box without containers" },
    { "GET", "/v1/devices/*/deployments", ACCESS_VIEWER, list, "what was pushed" },
    { "GET", "/v1/devices/*/deployments/*", ACCESS_VIEWER, show, "one deployment, live" },
    {},
};
