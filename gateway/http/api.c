/* SPDX-License-Identifier: MIT */
/* Which path goes where, and who may. */
#include "gateway/http/api.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/auth.h"
#include "gateway/devices/claim.h"
#include "gateway/sessions/operator.h"
#include "gateway/devices/device-connection.h"
#include "lib/base/strv.h"

static void api_health(Request *c)
{
    HttpExchange *x = TAKE_PTR(c->exchange);
    bool ready = c->gateway->ready;
    request_free(c);
    http_respond(x, ready ? 200 : 503, "text/plain", ready ? "ok" : "starting", ready ? 2 : 8, NULL);
}

const Route routes[] = {
    { "GET", "/healthz", ACCESS_ANYONE, api_health, "whether the gateway serves" },
    { "POST", CLAIM_PATH, ACCESS_ANYONE, claim_handle, "a box's first token" },
    { "POST", REFRESH_PATH, ACCESS_ANYONE, refresh_handle, "a box's next token" },
    { "GET", "/v1/devices", ACCESS_OPERATOR, api_devices_list, "all devices" },
    { "POST", "/v1/devices", ACCESS_OPERATOR, api_devices_add, "add a device" },
    { "GET", "/v1/devices/*", ACCESS_OPERATOR, api_devices_show, "one device" },
    { "POST", "/v1/devices/*/bootstrap", ACCESS_OPERATOR, api_devices_bootstrap, "a new bootstrap token" },
    { "POST", "/v1/devices/*/block", ACCESS_OPERATOR, api_devices_block, "keep a device out" },
    { "POST", "/v1/devices/*/unblock", ACCESS_OPERATOR, api_devices_unblock, "let it in again" },
    { "GET", "/v1/devices/*/status", ACCESS_OPERATOR, api_status, "ask the box" },
    { "POST", "/v1/devices/*/compose-snapshot", ACCESS_OPERATOR, api_snapshot_push, "push a compose file" },
    { "GET", "/v1/devices/*/bridge", ACCESS_OPERATOR, operator_accept, "a tunnel for sessions on the box" },
    { "GET", "/v1/devices/*/deployments", ACCESS_OPERATOR, api_deployments_list, "what was pushed" },
    { "GET", "/v1/devices/*/deployments/*", ACCESS_OPERATOR, api_deployments_show, "one deployment, live" },
    { "POST", "/v1/devices/*/plan", ACCESS_OPERATOR, api_plan, "what a push would change" },
    { "POST", "/v1/grants", ACCESS_OPERATOR, api_grants_add, "ask for the right to log in to a box" },
    { "GET", "/v1/grants", ACCESS_OPERATOR, api_grants_list, "grants, newest first" },
    { "GET", "/v1/grants/*", ACCESS_OPERATOR, api_grants_show, "one grant" },
    { "POST", "/v1/grants/*/revoke", ACCESS_OPERATOR, api_grants_revoke, "end a grant and its sessions" },
    { "POST", "/v1/grants/*/certificate", ACCESS_OPERATOR, api_grants_certificate, "an SSH user certificate" },
    { "GET", "/v1/sessions", ACCESS_OPERATOR, api_sessions_list, "who was logged in where" },
    { "GET", "/v1/support-ca", ACCESS_OPERATOR, api_support_ca, "the key that boxes trust for support staff" },
    { "POST", "/v1/rollouts", ACCESS_OPERATOR, api_rollouts_start, "start a rollout" },
    { "GET", "/v1/rollouts", ACCESS_OPERATOR, api_rollouts_list, "rollouts, newest first" },
    { "GET", "/v1/rollouts/*", ACCESS_OPERATOR, api_rollouts_show, "one rollout, live" },
    { "POST", "/v1/rollouts/*/pause", ACCESS_OPERATOR, api_rollouts_pause, "send to no more boxes for now" },
    { "POST", "/v1/rollouts/*/resume", ACCESS_OPERATOR, api_rollouts_resume, "go on" },
    { "POST", "/v1/rollouts/*/abort", ACCESS_OPERATOR, api_rollouts_abort, "end it for good" },
    { "GET", "/v1/audit", ACCESS_OPERATOR, api_audit_list, "who did what" },
    {},
};

/* Compares segment by segment; what stars stand for goes to args (new strings). 1 on a match, 0 on none. */
static int path_match(const char *pattern, const char *path, char *args[static REQUEST_ARGS_MAX])
{
    size_t n = 0;
    while (*pattern) {
        if (*pattern != '*') {
            if (*pattern++ != *path++)
                return 0;
            continue;
        }
        size_t len = strcspn(path, "/");
        if (len == 0 || n == REQUEST_ARGS_MAX)
            return 0;
        free(args[n]);
        args[n] = strndup(path, len);
        if (!args[n++])
            return -ENOMEM;
        path += len;
        pattern++;
    }
    return *path == '\0';
}

/* The route, or NULL with *ret_status 404 or 405. */
static const Route *route_find(const char *method, const char *path, char *args[static REQUEST_ARGS_MAX],
                               int *ret_status)
{
    *ret_status = 404;
    for (const Route *i = routes; i->path; i++) {
        int r = path_match(i->path, path, args);
        if (r < 0) {
            *ret_status = 500;
            return NULL;
        }
        if (r == 0)
            continue;
        if (str_equal(method, i->method))
            return i;
        *ret_status = 405;
    }
    return NULL;
}

static void refuse_route(HttpExchange *x, int status)
{
    Error err = {};
    if (status == 405)
        error_set(&err, EINVAL, "request.method", "%s is not possible here", http_method(x));
    else
        error_set(&err, ENOENT, "request.not-found", "there is nothing at this path");
    exchange_fail(x, status, -ENOENT, &err);
    error_done(&err);
}

static void request_start(Request *c)
{
    Error err = {};
    int r = 0;
    if (!c->gateway->ready && !str_equal(c->route->path, "/healthz"))
        r = error_set(&err, ENOTCONN, "store.unavailable",
                      "the gateway is starting, try again in some seconds");
    else if (c->args[0] && str_starts(c->route->path, "/v1/devices/") && !device_id_is_valid(c->args[0]))
        r = error_set(&err, ENOENT, "device.not-found", "there is no such device here");
    if (r < 0)
        request_fail(c, r, &err);
    else if (c->route->access == ACCESS_OPERATOR)
        auth_operator(c);
    else
        c->route->handler(c);
    error_done(&err);
}

void api_handle(Gateway *g, HttpExchange *x)
{
    Role role;
    int status;
    char *args[REQUEST_ARGS_MAX] = {};
    if (device_conn_path(http_path(x), &role)) {
        device_conn_accept(g, x, role);
        return;
    }
    const Route *route = route_find(http_method(x), http_path(x), args, &status);
    Request *c = route ? request_new(g, x, route) : NULL;
    if (!route)
        refuse_route(x, status);
    if (!c) {
        for (size_t i = 0; i < REQUEST_ARGS_MAX; i++)
            free(args[i]);
        return;
    }
    memcpy(c->args, args, sizeof(args));
    request_start(c);
}
