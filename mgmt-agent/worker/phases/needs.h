/* SPDX-License-Identifier: MIT */
/* What the services need of this box beside images, ports and bind sources: podman finds out that it is missing only when
 * the old containers have stopped. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Of all services: external networks and volumes (preflight.external-missing). Of those that are made anew: whether the policy
 * lets them have the networks and volumes that are on the box under their names (policy.refused), devices
 * (preflight.device-missing), the program behind `init` (preflight.no-init), `host-gateway` (preflight.host-gateway), the runtime
 * (preflight.runtime-missing), and the containers that they share something with (preflight.container-missing). */
int deploy_check_needs(const Box *box, const DeployTarget *t, const Plan *plan, Error *err) _must_check_;
