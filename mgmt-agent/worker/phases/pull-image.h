/* SPDX-License-Identifier: MIT */
/* One image from its registry. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Pulls it, again when the connection broke: layers that are here already are not fetched a second time. The id is a new string.
 * Errors: pull.no-space (-ENOSPC), pull.failed, pull.timeout. */
int deploy_pull_image(Deploy *d, const char *service, const char *reference, const char *policy, char **ret,
                      Error *err) _must_check_;
