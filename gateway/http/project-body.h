/* SPDX-License-Identifier: MIT */
/* The member "project" of requests about what a box runs. */
#pragma once

#include "lib/base/error.h"
#include "lib/data/json.h"
#include "lib/data/project-name.h"

/* *ret is borrowed; NULL: the box's own. project.bad-name */
int project_body_read(const cJSON *body, const char **ret, Error *err) _must_check_;
