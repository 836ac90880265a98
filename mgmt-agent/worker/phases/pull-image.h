/* SPDX-License-Identifier: MIT */
/* One image from its registry. */
#pragma once

#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/podman/podman.h"

typedef struct ImageRequest {
    const char *service, *reference;
    const char *policy; /* podman's: "always", "missing" */
    usec_t timeout_usec;
} ImageRequest;

/* Pulls it, again when the connection broke: layers that are here already are not fetched a second time. The id is a new string.
 * Errors: pull.no-space (-ENOSPC), pull.failed, pull.timeout. */
int deploy_pull_image(Podman *podman, const ImageRequest *pull, Report *report, char **ret, Error *err) _must_check_;
