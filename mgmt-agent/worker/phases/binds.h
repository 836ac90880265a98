/* SPDX-License-Identifier: MIT */
/* Host paths that services of a new file mount. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* What podman gets for a source: what a link leads to, else the source. */
const char *deploy_bind_target(const Map *bind_targets, const char *source);
/* Whether services may mount what they ask for: preflight.bind-missing, bind-link, bind-way, bind-overlap. Nothing is made; what
 * will be, the plan says. */
int deploy_check_binds(const Box *box, DeployTarget *t, const DeployPast *before, Plan *plan, Error *err) _must_check_;
/* Just before the service's new container is made: makes the folders that are ours to make, and checks again. */
int deploy_ready_binds(const Box *box, DeployTarget *t, const ComposeService *s, Report *report,
                       Error *err) _must_check_;
/* The folder where a service other than the main one shows its heartbeat. */
void deploy_make_run_folder(const PodmanUser *user, const char *service);
