/* SPDX-License-Identifier: MIT */
/* Images by the names that people write: `postgres:16`. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Gives every service's image its full name, as the registries.conf of the podman user has it, else Docker Hub's; what is
 * here under the short name stays that. Then asks the policy again, of the full names. Errors: registry.config, and those of
 * compose_policy_check_project(). */
int deploy_name_images(const Box *box, DeployTarget *t, Report *report, Error *err) _must_check_;
