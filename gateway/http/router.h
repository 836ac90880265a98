/* SPDX-License-Identifier: MIT */
/* Which path goes where, and who may. The routes are those of the modules (docs/wire-format.md). */
#pragma once

#include "gateway/http/request.h"

typedef struct Router Router;

/* NULL when out of memory. `tokens` are those that let operators in; both are borrowed. */
Router *router_new(Requests *rs, OperatorTokens *tokens);
Router *router_free(Router *r);

/* Adds a module's routes: a table that ends with {}. `module` comes with their requests. */
int router_add(Router *r, const Route *routes, void *module) _must_check_;
/* Until then all but ACCESS_ALWAYS are asked to come back. */
void router_set_ready(Router *r);

typedef struct RouteMatch {
    const Route *route; /* NULL: status says why */
    void *module;
    char *args[REQUEST_ARGS_MAX]; /* what the route's stars stand for; all NULL without a route */
    int status;                   /* 404, 405 or 500 */
} RouteMatch;

/* Where a method and a path lead. */
void router_match(const Router *r, const char *method, const char *path, RouteMatch *ret);
void route_match_done(RouteMatch *m);

/* Answers one request, now or later. Called with its head: nothing of a body is taken from whoever may not. */
void router_handle(Router *r, HttpExchange *x);
