/* SPDX-License-Identifier: MIT */
/* The names of compose projects, which become parts of paths and of containers' names. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

#define PROJECT_NAME_MAX 40
/* what a box's own project is called */
#define PROJECT_OWN_DEFAULT "secbox"

/* Compose's own rule, [a-z0-9][a-z0-9_-]*, and at most PROJECT_NAME_MAX bytes; NULL is none. */
bool project_name_is_good(const char *name);
/* stop, start, restart, remove: what project.order may ask for. */
bool project_action_is_good(const char *action);
/* project.bad-name */
int project_name_check(const char *name, Error *err) _must_check_;
