/* SPDX-License-Identifier: MIT */
/* Starting a rollout: what it brings, to which boxes, in which groups. All of it is stored in one statement. */
#pragma once

#include "gateway/deployments/bundles.h"
#include "gateway/rollouts/rollouts.h"

typedef struct RolloutsApi {
    Rollouts *rollouts;
    const Bundles *bundles;
} RolloutsApi;

extern const Route rollout_start_routes[]; /* of the RolloutsApi */
