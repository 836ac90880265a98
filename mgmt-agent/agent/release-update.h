/* SPDX-License-Identifier: MIT */
/* Releases of the data plane that the cloud orders, where there are no containers (release.update). `secboxctl release order` and
 * its unit carry them out, outside of our sandbox; what we do is judge the order, start that, follow its record, and tell how it
 * ended. */
#pragma once

#include "mgmt-agent/agent/agent.h"

int release_update_new(Agent *a, ReleaseUpdate **ret, Error *err) _must_check_;
/* NULL-safe. */
ReleaseUpdate *release_update_free(ReleaseUpdate *u);

/* release.update */
void release_update_handle(Agent *a, ControlClient *c, const cJSON *message);

/* What is under way, so that nothing else is begun meanwhile: 0, or deploy.busy. NULL-safe. */
int release_update_check_free(const ReleaseUpdate *u, Error *err) _must_check_;
/* As `pending` of agent.status; NULL when none is under way. NULL-safe. */
cJSON *release_update_pending(const ReleaseUpdate *u);
