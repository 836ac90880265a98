/* SPDX-License-Identifier: MIT */
/* What is committed, as JSON for the store. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

cJSON *current_from_deploy(const Deploy *d, Error *err);
/* The project that `current` describes, with what compose_plan() reads; NULL when there is none. */
ComposeProject *current_to_project(const cJSON *current);
/* One of its services, or NULL. */
const cJSON *current_service(const cJSON *current, const char *name);
