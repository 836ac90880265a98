/* SPDX-License-Identifier: MIT */
/* Which project a request with a compose file is about, where it does not say. */
#pragma once

#include "gateway/http/request.h"

/* Calls `next` with the member "project" in the body, where the file's `name:` decides (compose/project-choice.h); a request that
 * says its project, or brings a signed order, which says it, stays as it is. Answers with project.bad-name or, 409,
 * project.unclear. For requests about the box args[0]. */
void which_project_settle(Request *c, void (*next)(Request *c));

extern const Route which_project_routes[];
