/* SPDX-License-Identifier: MIT */
/* An update: the current snapshot again, with other images for some of its services. It is a deployment like a push, through
 * the same phases, journal and way back; only what it is about is narrower: no other service is touched, whatever else has
 * changed on the box. The new image is pulled by digest, so that the name in the compose file goes on meaning the old one until
 * the new one has proved itself.
 *
 * The job's request: {"source": "cloud" or "local", "message": an image.update, "images": […], "byConnection": true to have the
 * tunnel's return confirm it, "coolDownSeconds", "force"}. Each of `images` is {"service", "digest", "seenAt"} of what `check`
 * found new, without `digest` when what the image's name means on this box is wanted; without `images` the message's own
 * `service`, `image` and `digest` say what is meant.
 *
 * Errors: update.nothing-deployed, update.not-here (no service here runs that image), update.pinned, update.bad-digest,
 * update.failed-before, update.locked, update.not-now (the service's own pre-update hook), update.too-young, update.hook. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int job_update(Deploy *d, const cJSON *request);

/* What is deployed, for a change that is limited to some of its services: d->before, and the order's text and digest. */
int update_load_deployed(Deploy *d, Error *err) _must_check_;
