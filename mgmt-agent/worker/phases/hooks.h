/* SPDX-License-Identifier: MIT */
/* Lifecycle hooks: commands that a service's labels name, run by a shell in its own container, with its own rights only. */
#pragma once

#include "compose/plan/plan.h"
#include "mgmt-agent/state/watch-labels.h"
#include "mgmt-agent/worker/phases/box.h"
#include "mgmt-agent/worker/phases/report.h"

/* The exit status of a container's hook (124 when it did not end in time), or negative. One that does not run, or has no such
 * hook, gives 0. */
int update_run_hook(Box *b, Report *report, const char *container, const char *service, WatchHook h,
                    Error *err) _must_check_;
/* Runs this hook of every service that the plan changes. update.hook, update.not-now. */
int update_run_hooks(Box *b, Report *report, const Plan *plan, WatchHook h, Error *err) _must_check_;
