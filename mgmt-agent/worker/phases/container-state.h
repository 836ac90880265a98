/* SPDX-License-Identifier: MIT */
/* Whether a container does what its service is there for, by its inspection. Pure. */
#pragma once

#include "compose/compose.h"
#include "lib/base/error.h"
#include "lib/data/json.h"

typedef enum ContainerState {
    CONTAINER_RUNNING,
    CONTAINER_COMPLETED, /* a one-shot that ended with 0 */
} ContainerState;

/* It may end: its restart policy does not bring it back. */
bool container_is_one_shot(const ComposeService *s);
/* It is alive, or has ended well, and has never been restarted. prove.restarts, prove.died, prove.not-running. */
int container_state_check(const ComposeService *s, const cJSON *info, ContainerState *ret, Error *err) _must_check_;
