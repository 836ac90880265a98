/* SPDX-License-Identifier: MIT */
/* What would change, and whether it can. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int deploy_preflight(Deploy *d, Error *err) _must_check_;
/* Observes and plans; for images that are not here yet a placeholder id stands in, so the service counts as changed. */
int deploy_make_plan(Deploy *d, Error *err) _must_check_;
/* What runs now as it was remembered, in d->before.current; NULL when it is not known. */
void deploy_load_current(Deploy *d);
