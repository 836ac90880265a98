/* SPDX-License-Identifier: MIT */
/* Data that an image keeps in volumes of its own (VOLUME in its Containerfile). */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Says of each service that changes which folders its image declares as volumes and its compose file mounts nothing on: podman
 * makes a new, empty one for each container. */
void deploy_tell_image_volumes(Podman *podman, const DeployTarget *target, const Plan *plan, Report *report);
/* Whether the service's configuration mounts something exactly there. */
bool config_mounts_at(const cJSON *config, const char *folder);
