/* SPDX-License-Identifier: MIT */
/* Starting a rollout: what it brings, to which boxes, in which groups. All of it is stored in one statement. */
#pragma once

#include "gateway/http/request.h"

extern const Route rollout_start_routes[]; /* of the Rollouts */
