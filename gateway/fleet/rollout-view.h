/* SPDX-License-Identifier: MIT */
/* What people see of a rollout. Every string is new (NULL when out of memory) and harmless to a terminal. */
#pragma once

#include "lib/base/clock.h"
#include "lib/data/json.h"

/* All of one rollout; `now` (wall clock) tells how long it still soaks. */
char *rollout_view(const cJSON *rollout, usec_t now);
/* Whether it is over and no box had anything to do with it: each was skipped, as when no box runs an image of that name. */
bool rollout_view_is_empty(const cJSON *rollout);
/* Whether it waits since the groups so far have shown nothing: each of their boxes was skipped. */
bool rollout_view_proves_nothing(const cJSON *rollout);
/* An array of rollouts as a table. */
char *rollout_view_list(const cJSON *rollouts);
/* What is new since `before` (NULL: everything): lines, or "" when nothing is worth one. */
char *rollout_view_news(const cJSON *before, const cJSON *rollout);
