/* SPDX-License-Identifier: MIT */
/* How far a token reaches that was made with labels: to boxes that have all of them. What each route is about stands in one table;
 * a route that is not in it is refused to such tokens. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/http/request.h"

typedef enum LabelScope {
    SCOPE_FLEET,   /* about all boxes, or about none: refused */
    SCOPE_DEVICE,  /* about the box that the path's first star names */
    SCOPE_GRANT,   /* the same of a grant */
    SCOPE_ROLLOUT, /* the same of a rollout: each of its boxes has to have the labels */
    SCOPE_LISTED,  /* the handler leaves out, or refuses, what the labels do not reach: Request.labels */
    SCOPE_FREE,    /* tells nothing of a box, and changes nothing of one */
} LabelScope;

/* Of a route by its method and pattern. */
LabelScope label_scope(const char *method, const char *path);
/* As sql_token_owner() takes it. */
const char *label_scope_to_string(LabelScope scope);

/* The routes of the table, "METHOD PATTERN", up to NULL: for a test. */
const char *label_scope_listed(size_t i);

/* -EACCES "auth.labels": what the request is about is not within the labels of its token (c->labels). `device` may be NULL; whether
 * it exists is not told. */
int label_scope_refuse(const Request *c, const char *person, LabelScope scope, const char *device, Error *err);

/* Adds the token's labels to those that a rollout looks for; auth.labels where it looks for others. bound NULL: nothing. */
int label_scope_narrow(const char *bound, cJSON *labels, Error *err) _must_check_;
