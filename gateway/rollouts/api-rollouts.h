/* SPDX-License-Identifier: MIT */
/* Routes about rollouts: list, show, live, and stop or go on. */
#pragma once

#include "gateway/http/request.h"

extern const Route rollout_routes[]; /* of the Rollouts */

/* Answers with rollout args[0]. */
void api_rollout_answer(Request *c, int status);
