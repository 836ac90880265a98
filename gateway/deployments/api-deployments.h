/* SPDX-License-Identifier: MIT */
/* Routes about deployments: push, list, and one of them with its events, live. */
#pragma once

#include "gateway/deployments/deployments.h"

typedef struct DeploymentsApi {
    Deployments *deployments;
    const DeviceRegistry *registry;
} DeploymentsApi;

extern const Route deployment_routes[]; /* of the DeploymentsApi */
