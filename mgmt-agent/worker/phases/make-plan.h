/* SPDX-License-Identifier: MIT */
/* What a change would do, decided from what was observed. Pure: nothing is asked, and nothing is touched. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Hashes the target's services, then puts the plan in the place of *plan. An image that is not here yet hashes as its name, so
 * that its service counts as changed. An order that names services (`only`) changes those, and who lives in their networks. */
int deploy_make_plan(DeployTarget *t, const DeployPast *before, const DeployOrder *order, Plan **plan,
                     Error *err) _must_check_;
