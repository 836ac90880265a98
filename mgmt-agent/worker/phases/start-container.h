/* SPDX-License-Identifier: MIT */
/* A container that is there is started; what a killed podman has left in its way is removed, and told. */
#pragma once

#include "mgmt-agent/worker/phases/box.h"
#include "mgmt-agent/worker/phases/report.h"

/* Name or id. Errors as of podman_start_over_stale(). */
int box_start_container(const Box *b, const char *container, const char *service, Report *report,
                        Error *err) _must_check_;
