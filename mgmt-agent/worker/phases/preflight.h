/* SPDX-License-Identifier: MIT */
/* What would change, and whether it can. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int deploy_preflight(Deploy *d, Error *err) _must_check_;
/* What is there: as it was remembered, unless that is loaded, and as podman shows it now. */
int deploy_observe(Podman *podman, const char *project, DeployPast *before, Report *report, Error *err) _must_check_;
/* What runs now as it was remembered, in before->current; NULL when it is not known. */
void deploy_load_current(DeployPast *before, Report *report);
