/* SPDX-License-Identifier: MIT */
/* Which path goes where, and who may. The routes are those of the modules (docs/wire-format.md). */
#pragma once

#include "gateway/http/request.h"

typedef struct Router Router;

/* NULL when out of memory. */
Router *router_new(Requests *rs);
Router *router_free(Router *r);

/* Adds a module's routes: a table that ends with {}. `module` comes with their requests. */
void router_add(Router *r, const Route *routes, void *module);
/* Until then all but ACCESS_ALWAYS are asked to come back. */
void router_set_ready(Router *r);

/* Answers one request, now or later. */
void router_handle(Router *r, HttpExchange *x);
