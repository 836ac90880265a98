/* SPDX-License-Identifier: MIT */
/* See router.h. */
#include "gateway/http/router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/auth/device-registry.h"
#include "gateway/http/operator-auth.h"
#include "lib/base/strv.h"

#define DEVICE_PREFIX "/v1/devices/"

typedef struct Module {
    const Route *routes;
    void *module;
} Module;

struct Router {
    Requests *requests;
    OperatorTokens *tokens;
    bool ready;
    Module *modules;
    size_t n_modules;
};

static void on_health(Request *c)
{
    HttpExchange *x = TAKE_PTR(c->exchange);
    bool ready = ((Router *) c->module)->ready;
    request_free(c);
    http_respond(x, ready ? 200 : 503, "text/plain", ready ? "ok" : "starting", ready ? 2 : 8, NULL);
}

static const Route alive_routes[] = {
    { "GET", "/healthz", ACCESS_ALWAYS, on_health, "whether the gateway serves" },
    {},
};

Router *router_new(Requests *rs, OperatorTokens *tokens)
{
    Router *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->requests = rs;
    r->tokens = tokens;
    return router_add(r, alive_routes, r) < 0 ? router_free(r) : r;
}

Router *router_free(Router *r)
{
    if (r)
        free(r->modules);
    free(r);
    return NULL;
}

int router_add(Router *r, const Route *routes, void *module)
{
    Module *more = reallocarray(r->modules, r->n_modules + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    r->modules = more;
    r->modules[r->n_modules++] = (Module) { routes, module };
    return 0;
}

void router_set_ready(Router *r)
{
    r->ready = true;
}

void route_match_done(RouteMatch *m)
{
    for (size_t i = 0; i < REQUEST_ARGS_MAX; i++)
        m->args[i] = (free(m->args[i]), NULL);
}

/* Compares segment by segment; what stars stand for goes to args (new strings), which are empty before. 1 on a match, 0 on
 * none. */
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
        args[n] = strndup(path, len);
        if (!args[n++])
            return -ENOMEM;
        path += len;
        pattern++;
    }
    return *path == '\0';
}

void router_match(const Router *r, const char *method, const char *path, RouteMatch *ret)
{
    *ret = (RouteMatch) { .status = 404 };
    for (const Module *m = r->modules; m < r->modules + r->n_modules; m++) {
        for (const Route *i = m->routes; i->path; i++) {
            int found = path_match(i->path, path, ret->args);
            if (found > 0 && str_equal(method, i->method)) {
                ret->route = i;
                ret->module = m->module;
                return;
            }
            route_match_done(ret);
            if (found < 0) {
                ret->status = 500;
                return;
            }
            if (found > 0)
                ret->status = 405;
        }
    }
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

static void request_start(const Router *r, Request *c)
{
    Error err = {};
    RouteAccess access = c->route->access;
    int code = 0;
    if (!r->ready && access != ACCESS_ALWAYS)
        code = error_set(&err, ENOTCONN, "store.unavailable", "the gateway is starting, try again in some seconds");
    else if (c->args[0] && str_starts(c->route->path, DEVICE_PREFIX) && !device_id_is_valid(c->args[0]))
        code = error_set(&err, ENOENT, "device.not-found", "there is no such device here");
    if (code < 0)
        request_fail(c, code, &err);
    else if (access < ACCESS_ANYONE)
        operator_authorize(c);
    else
        request_run(c);
    error_done(&err);
}

void router_handle(Router *r, HttpExchange *x)
{
    RouteMatch m;
    router_match(r, http_method(x), http_path(x), &m);
    if (!m.route) {
        refuse_route(x, m.status);
        return;
    }
    Request *c = request_new(r->requests, x, m.route, m.module, m.args);
    if (!c)
        return;
    c->tokens = r->tokens;
    request_start(r, c);
}
