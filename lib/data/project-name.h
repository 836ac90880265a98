/* SPDX-License-Identifier: MIT */
/* The names of compose projects, which become parts of paths and of containers' names. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/data/json.h"

#define PROJECT_NAME_MAX 40
/* what a box's own project is called */
#define PROJECT_OWN_DEFAULT "secbox"

/* Compose's own rule, [a-z0-9][a-z0-9_-]*, and at most PROJECT_NAME_MAX bytes; NULL is none. */
bool project_name_is_good(const char *name);
/* stop, start, restart, remove: what project.order may ask for. */
bool project_action_is_good(const char *action);
/* project.bad-name */
int project_name_check(const char *name, Error *err) _must_check_;

/* Which project of a box a file is pushed to that calls itself `name` (NULL: nothing), where no option says it: that name, or NULL
 * for the box's own. `has_it`: the box has, or had, a project of that name. `current`: what a box tells of its own project, in
 * agent.status and status.report; JSON null when it has none yet, NULL or without `fileName` when it is not known which file that
 * was. A file that has been the box's own so far stays it, and so does one of which that cannot be told: its containers must not
 * be made once more under another name. */
const char *project_of_file(const char *name, bool has_it, const cJSON *current);
