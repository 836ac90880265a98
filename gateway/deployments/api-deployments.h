/* SPDX-License-Identifier: MIT */
/* Routes about deployments: push, list, and one of them with its events, live. */
#pragma once

#include "gateway/deployments/bundles.h"
#include "gateway/deployments/deployments.h"

typedef struct DeploymentsApi {
    Deployments *deployments;
    const DeviceRegistry *registry;
    const Bundles *bundles;
} DeploymentsApi;

extern const Route deployment_routes[]; /* of the DeploymentsApi */
