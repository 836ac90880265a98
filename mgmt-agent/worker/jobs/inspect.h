/* SPDX-License-Identifier: MIT */
/* The job `inspect`: what podman has of the services that were deployed last, so that the agent notices what was done by hand. An
 * agent of the release before, which goes on running while this worker is installed, calls it `look`.
 *
 * Request: {"services": ["web", …], "hook": "pre-check" or "post-check", "hooked": ["web", …]}; without `services` all are
 * looked at. With `hook` those in `hooked` (or all, without it) that have such a hook run it.
 * Answer, one line: {"type": "worker.inspect", "graphRoot", "services": [{"service", "id", "imageId", "state", "staticDir", "pid",
 * "startTicks", "nameImageId", "hookStatus"}, …]} of the containers that are there, or {"type": "worker.inspect", "error"}.
 * `nameImageId` is what the image's name means on this box, absent when that is nothing. An image that runs and is not the one
 * that was deployed gets a name that keeps it from a prune. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int job_inspect(Deploy *d, const cJSON *request);
