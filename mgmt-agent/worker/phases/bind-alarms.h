/* SPDX-License-Identifier: MIT */
/* Mounts of what runs already, although they could not be asked for now. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Writes down which mounts of the present containers are not safe, and tells the new ones. Never a failure. */
void deploy_review_binds(Deploy *d);
/* Before an old container is started again, by its inspection: bind.replaced when a link was put in the place of a source, of
 * its own or of a container that podman would start with it, being what it depends on. */
int deploy_may_start(Deploy *d, const char *service, const cJSON *info, Error *err) _must_check_;
