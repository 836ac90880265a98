/* SPDX-License-Identifier: MIT */
/* Updates of the two packages that look after this box. An order (agent.update) is carried out outside of us, since we are replaced
 * by it: by a unit of root's that apt runs in. What we do is ask for it, prove ourselves when we are the new version, watch the
 * package of recovery-agent, and tell how it ended. */
#pragma once

#include "mgmt-agent/agent/agent.h"

int package_update_new(Agent *a, PackageUpdate **ret, Error *err) _must_check_;
/* NULL-safe. */
PackageUpdate *package_update_free(PackageUpdate *p);

/* agent.update */
void package_update_handle(Agent *a, ControlClient *c, const cJSON *message);
/* Whoever asked may be gone. */
void package_update_note_gone(PackageUpdate *p, const ControlClient *c);

/* Whether an order could be carried out: we are a service here, and from the package. */
bool package_start_is_possible(void);

/* What is under way, so that nothing else is begun meanwhile: 0, or deploy.busy. NULL-safe. */
int package_update_check_free(const PackageUpdate *p, Error *err) _must_check_;
/* As `pending` of agent.status; NULL when none is under way. NULL-safe. */
cJSON *package_update_pending(const PackageUpdate *p);
/* As `agentUpdate` of status.report: the one under way, or the last; NULL when there was none. */
cJSON *package_update_describe(const PackageUpdate *p);
