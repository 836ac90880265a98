/* SPDX-License-Identifier: MIT */
/* Which changes that were made on the box itself the cloud has heard of: the history holds them all, and reported.json how far it
 * was told, {"id": of the last one}; for each project. */
#pragma once

#include "lib/data/json.h"

/* A new agent's first start: what happened before it is the past. Later: nothing. */
int reported_begin(Error *err) _must_check_;
/* The oldest result of a project that the cloud has not acknowledged, of a change that it did not order: those of the box's own
 * project come first. *ret is NULL when it has heard of all. */
int reported_next(cJSON **ret, Error *err) _must_check_;
/* `project` is the result's member. */
int reported_note(const char *project, const char *id, Error *err) _must_check_;
