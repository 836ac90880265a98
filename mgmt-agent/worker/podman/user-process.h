/* SPDX-License-Identifier: MIT */
/* Programs that the worker runs as the podman user. */
#pragma once

#include "lib/event/process.h"
#include "mgmt-agent/host/podman-user.h"

/* As that user, with its environment, in /, and not beyond the worker's own life; all of it borrowed. The user is prepared. */
ProcessSpec podman_user_spec(const PodmanUser *user, const char *const *argv, usec_t timeout);
