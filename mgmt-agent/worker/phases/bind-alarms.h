/* SPDX-License-Identifier: MIT */
/* Mounts of what runs already, although they could not be asked for now. */
#pragma once

#include "mgmt-agent/worker/phases/box.h"
#include "mgmt-agent/worker/phases/report.h"

/* Writes down which mounts of the present containers, of all projects, are not safe, and tells the new ones. Never a failure. */
void deploy_review_binds(const Box *box, Report *report);
/* Before an old container is started again, by its inspection: bind.replaced when a link was put in the place of a source, of
 * its own or of a container that podman would start with it, being what it depends on. */
int deploy_may_start(const Box *box, const char *project, const char *service, const cJSON *info,
                     Error *err) _must_check_;
