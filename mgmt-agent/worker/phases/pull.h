/* SPDX-License-Identifier: MIT */
/* Every image is here, by id, before any container stops. */
#pragma once

#include "mgmt-agent/worker/phases/preflight.h"

/* Each image may take as long as the timeout. *p->plan is made anew: ids are known now, and a service whose image turned out to be
 * the one that runs does not change. */
int deploy_pull(const PlanContext *p, Podman *podman, usec_t timeout_usec, Error *err) _must_check_;
