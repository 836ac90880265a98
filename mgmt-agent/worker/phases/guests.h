/* SPDX-License-Identifier: MIT */
/* Services in another one's network (`network_mode: service:NAME`). Podman makes that network anew at each start of its owner, and
 * who was in the old one is cut off without noticing. */
#pragma once

#include "mgmt-agent/state/current.h"
#include "mgmt-agent/worker/phases/box.h"
#include "mgmt-agent/worker/phases/report.h"

/* Behind a start of that service's container: those in its network that run are stopped and started, in their order. All of them,
 * whatever becomes of one; the first failure is returned. */
int guests_follow(const Box *box, const char *project, const Current *current, const char *owner, Report *report,
                  Error *err) _must_check_;
