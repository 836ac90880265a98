/* SPDX-License-Identifier: MIT */
/* Services in another container's network, or with its processes or memory (compose_shared_keys). Podman makes these anew at each
 * start of their owner, and who was in the old ones is cut off without noticing. */
#pragma once

#include "compose/plan/plan.h"
#include "lib/base/map.h"
#include "mgmt-agent/state/current.h"
#include "mgmt-agent/worker/phases/box.h"
#include "mgmt-agent/worker/phases/report.h"

/* The containers with which a service shares something, by name → id; those that are not there are left out. */
int guests_find_owners(Podman *podman, const ComposeProject *p, const ComposeService *s, Map **ret,
                       Error *err) _must_check_;

/* Has the plan replace kept containers that are cut off: their owner's container is another one by now, or was started again. */
int guests_plan(Podman *podman, const ComposeProject *p, Plan *plan, Error *err) _must_check_;

/* Behind a start of that service's container: those that share something with it and run are stopped and started, in their order.
 * All of them, whatever becomes of one; the first failure is returned. */
int guests_follow(const Box *box, const char *project, const Current *current, const char *owner, Report *report,
                  Error *err) _must_check_;
