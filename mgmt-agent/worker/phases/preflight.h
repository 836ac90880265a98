/* SPDX-License-Identifier: MIT */
/* What would change, and whether it can. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* What a plan is made of, and where it goes. */
typedef struct PlanContext {
    DeployTarget *target;
    DeployPast *before; /* observed anew each time */
    const DeployOrder *order;
    Journal *journal; /* an update's images are named there by id */
    Report *report;
    Plan **plan; /* replaced */
} PlanContext;

/* Opens the box and says whether what it is to come to can be carried out; *p->plan is what would change. */
int deploy_preflight(const PlanContext *p, Box *box, const char *podman_compose, Error *err) _must_check_;
/* *p->plan anew, of what podman shows now. */
int deploy_observe_and_plan(const PlanContext *p, Podman *podman, Error *err) _must_check_;
/* What is there: as it was remembered, unless that is loaded, and as podman shows it now. */
int deploy_observe(Podman *podman, const char *project, DeployPast *before, Report *report, Error *err) _must_check_;
/* What runs now as it was remembered, in before->current; NULL when it is not known. */
void deploy_load_current(DeployPast *before, Report *report);
