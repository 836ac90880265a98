/* SPDX-License-Identifier: MIT */
/* See api-query.h. */
#include "gateway/devices/api-query.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/devices/device-query.h"
#include "gateway/http/compose-body.h"
#include "gateway/http/project-body.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

#define STATUS_TIMEOUT (30 * USEC_PER_SEC)
#define PLAN_TIMEOUT (120 * USEC_PER_SEC)
#define PROJECT_TIMEOUT (600 * USEC_PER_SEC) /* containers may take their time to stop */
#define DOCTOR_TIMEOUT (130 * USEC_PER_SEC)  /* the agent ends it before */

/* Passes on a member of the box's answer as {"KEY": …}. */
static void answer_with(Request *c, int status, const cJSON *message, const char *key)
{
    cJSON *body = cJSON_CreateObject();
    cJSON *part = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(message, key), true);
    if (!body || json_add_item(body, key, part) < 0) {
        cJSON_Delete(body);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    request_answer(c, status, body);
}

static int box_status(const cJSON *message, int fallback)
{
    uint64_t status = 0;
    return json_u64(message, "status", &status) >= 0 && status >= 200 && status <= 599 ? (int) status : fallback;
}

static void on_status_report(Request *c, const char *type, const cJSON *message)
{
    if (str_equal(type, "status.report"))
        answer_with(c, 200, message, "status");
    else if (str_equal(type, "error"))
        answer_with(c, 502, message, "error");
}

static void on_plan_result(Request *c, const char *type, const cJSON *message)
{
    bool planned = str_equal(type, "compose.plan.result");
    if (planned && cJSON_GetObjectItemCaseSensitive(message, "plan"))
        answer_with(c, box_status(message, 200), message, "plan");
    else if (planned || str_equal(type, "error"))
        answer_with(c, box_status(message, 502), message, "error");
}

/* Whether the box can be asked about this project. */
static int check_project(const Request *c, const char *project, Error *err)
{
    const DeviceQueries *q = c->module;
    const DeviceConn *s = project ? device_conn_find(q->conns, c->args[0], ROLE_MGMT) : NULL;

    return s ? device_conn_check_takes(s, ORDER_PROJECT, err) : 0;
}

/* compose, bundle, project: NULL where the question has none. */
static void ask(Request *c, const char *type, const char *compose, const cJSON *bundle, const char *project,
                usec_t timeout, void (*on_answer)(Request *c, const char *type, const cJSON *message))
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new(type);
    if (!m || json_add_string(m, "id", c->id) < 0 || json_add_string(m, "compose", compose) < 0 ||
        json_add_string(m, "project", project) < 0 ||
        (bundle && json_add_item(m, "bundle", cJSON_Duplicate(bundle, true)) < 0))
        request_fail(c, -ENOMEM, NULL);
    else
        device_query(c->module, c, ROLE_MGMT, m, timeout, on_answer);
}

static void get_status(Request *c)
{
    _cleanup_(freep) char *project = http_query(c->exchange, "project");
    _cleanup_(error_done) Error err = {};
    int r = project ? project_name_check(project, &err) : 0;

    if (str_equal(project, PROJECT_OWN_DEFAULT))
        project = (free(project), NULL);
    if (r >= 0)
        r = check_project(c, project, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else
        ask(c, "status.get", NULL, NULL, project, STATUS_TIMEOUT, on_status_report);
}

/* What the box is told of its files: with the key of its sealed secrets, if it has any. NULL in *ret stays when it has not. */
static int add_key(const DeviceQueries *q, const char *device, const DeviceConn *s, const cJSON *bundle, cJSON **ret,
                   Error *err)
{
    _cleanup_(freep) char *key = NULL;
    int r = q->key(device, json_string(bundle, "digest"), &key, q->key_userdata, err);

    if (r >= 0 && key && s)
        r = device_conn_check_takes(s, ORDER_SEALED, err);
    if (r < 0 || !key)
        return r;
    *ret = cJSON_CreateObject();
    return json_add_string(*ret, "digest", json_string(bundle, "digest")) < 0 || json_add_string(*ret, "key", key) < 0
               ? -ENOMEM
               : 0;
}

static void plan(Request *c)
{
    Error err = {};
    const char *compose = NULL, *project = NULL;
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    const DeviceQueries *q = c->module;
    const cJSON *bundle = cJSON_GetObjectItemCaseSensitive(body, "bundle");
    int r = compose_body_check(body, &compose, &err);
    if (r >= 0)
        r = project_body_read(body, &project, &err);
    if (r >= 0)
        r = check_project(c, project, &err);
    DeviceConn *s = device_conn_find(q->conns, c->args[0], ROLE_MGMT);
    if (r >= 0 && bundle && s)
        r = device_conn_check_takes(s, ORDER_BUNDLE, &err);
    if (r >= 0)
        r = q->offer(c->args[0], bundle, q->offer_userdata, &err);
    _cleanup_(cJSON_Deletep) cJSON *sealed = NULL;
    if (r >= 0 && bundle)
        r = add_key(q, c->args[0], s, bundle, &sealed, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else
        ask(c, "compose.plan", compose, sealed ? sealed : bundle, project, PLAN_TIMEOUT, on_plan_result);
    error_done(&err);
}

/* By how much the box's clock is ahead, the way of the message included; nothing when it does not say a time. */
static int add_skew(cJSON *body, const cJSON *message)
{
    const char *at = json_string(message, "at");
    usec_t theirs, ours = realtime_usec();

    if (!at || timestamp_parse(at, &theirs) < 0)
        return 0;
    int64_t seconds = ((int64_t) theirs - (int64_t) ours) / (int64_t) USEC_PER_SEC;
    return json_add_item(body, "clockAheadSeconds", cJSON_CreateNumber((double) seconds));
}

static void on_doctor_report(Request *c, const char *type, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *body = NULL;

    if (str_equal(type, "error"))
        answer_with(c, 502, message, "error");
    if (!str_equal(type, "doctor.report"))
        return;
    body = cJSON_CreateObject();
    if (!body ||
        json_add_item(body, "report", cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(message, "report"), true)) < 0 ||
        json_add_item(body, "exitCode", cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(message, "exitCode"), true)) <
            0 ||
        add_skew(body, message) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
}

static void doctor(Request *c)
{
    const DeviceQueries *q = c->module;
    const DeviceConn *s = device_conn_find(q->conns, c->args[0], ROLE_MGMT);
    _cleanup_(error_done) Error err = {};
    int r = s ? device_conn_check_takes(s, ORDER_DOCTOR, &err) : 0;

    if (r < 0) {
        request_fail(c, r, &err);
        return;
    }
    if (s) {
        request_note_address(c);
        audit_write(q->store, &(AuditEntry) { .actor = c->actor, .action = "device.doctor", .device = c->args[0] });
    }
    ask(c, "doctor.ask", NULL, NULL, NULL, DOCTOR_TIMEOUT, on_doctor_report);
}

static void on_project_result(Request *c, const char *type, const cJSON *message)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(message, "error");
    const char *id = json_string(error, "id");
    cJSON *body = NULL;

    if (str_equal(type, "error")) {
        answer_with(c, 502, message, "error");
        return;
    }
    if (!str_equal(type, "project.result"))
        return;
    if (!json_bool(message, "ok", false)) {
        answer_with(c,
                    str_equal(id, "project.unknown") || str_equal(id, "project.nothing") ? 404
                    : str_equal(id, "agent.busy") || str_equal(id, "project.own")        ? 409
                                                                                         : 422,
                    message, "error");
        return;
    }
    body = cJSON_CreateObject();
    if (body && json_add_bool(body, "ok", true) == 0)
        request_answer(c, 200, body);
    else
        request_fail(c, -ENOMEM, (cJSON_Delete(body), NULL));
}

static int project_order(const Request *c, const cJSON *body, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("project.order");
    const char *action = json_string(body, "action");
    int r = project_name_check(c->args[1], err);

    if (r >= 0 && !project_action_is_good(action))
        r = error_set(err, EINVAL, "project.bad-action", "\"action\" must be stop, start, restart or remove");
    if (r >= 0)
        r = check_project(c, c->args[1], err);
    if (r < 0)
        return r;
    if (!m || json_add_string(m, "id", c->id) < 0 || json_add_string(m, "project", c->args[1]) < 0 ||
        json_add_string(m, "action", action) < 0 ||
        (json_bool(body, "volumes", false) && json_add_bool(m, "volumes", true) < 0))
        return -ENOMEM;
    *ret = TAKE_PTR(m);
    return 0;
}

static void order_project(Request *c)
{
    const DeviceQueries *q = c->module;
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;
    _cleanup_(error_done) Error err = {};
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    int r = project_order(c, body, &m, &err);
    if (r < 0) {
        request_fail(c, r, &err);
        return;
    }
    if (device_conn_find(q->conns, c->args[0], ROLE_MGMT)) {
        cJSON *detail = cJSON_Duplicate(m, true);

        cJSON_DeleteItemFromObjectCaseSensitive(detail, "type");
        cJSON_DeleteItemFromObjectCaseSensitive(detail, "id");
        request_note_address(c);
        audit_write(
            q->store,
            &(AuditEntry) { .actor = c->actor, .action = "project.order", .device = c->args[0], .detail = detail });
    }
    device_query(q, c, ROLE_MGMT, m, PROJECT_TIMEOUT, on_project_result);
}

const Route query_routes[] = {
    { "POST", "/v1/devices/*/projects/*", ACCESS_DEPLOY, order_project, "stop, start or remove a project" },
    { "GET", "/v1/devices/*/status", ACCESS_VIEWER, get_status, "ask the box" },
    { "POST", "/v1/devices/*/doctor", ACCESS_VIEWER, doctor, "what secboxctl doctor says there" },
    { "POST", "/v1/devices/*/plan", ACCESS_DEPLOY, plan, "what a push would change" },
    {},
};
