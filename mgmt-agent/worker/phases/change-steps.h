/* SPDX-License-Identifier: MIT */
/* In which order containers change, and what undoes each change. Pure. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Adds what will be done to the journal's steps, with the ids that undo it. `version` is the one that begins. */
int change_steps_add(const Plan *plan, const DeployPast *before, const char *version, Journal *j) _must_check_;
/* How long the old container of a service may take to stop: what it was promised when it was made, not what the new one will
 * be. `before` may be NULL. */
unsigned change_grace_seconds(const ComposeProject *before, const ComposeProject *after, const char *service);
/* How many dependencies deep a service stands; services of one level do not depend on each other. */
unsigned change_level(const ComposeProject *p, const ComposeService *s);
unsigned change_deepest_level(const ComposeProject *p);
