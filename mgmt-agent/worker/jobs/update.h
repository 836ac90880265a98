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

#include "mgmt-agent/state/watch-labels.h"
#include "mgmt-agent/worker/phases/deploy.h"

#define KIND_UPDATE "update"
#define KIND_RECREATE "recreate"

int job_update(Deploy *d, const cJSON *request);

/* What is deployed, for a change that is limited to some of its services: d->current, d->previous, d->text, d->sha256. */
int update_load_deployed(Deploy *d, Error *err) _must_check_;

/* Of a deployment that is limited to some services (d->only): every other one keeps the image that it runs. */
int update_resolve_images(Deploy *d, size_t *ret_missing, Error *err) _must_check_;
int update_pull(Deploy *d, bool *ret_pulled, Error *err) _must_check_;

/* The exit status of a container's hook (124 when it did not end in time), or negative. One that does not run, or has no such
 * hook, gives 0. */
int update_run_hook(Deploy *d, const char *container, const char *service, WatchHook h, Error *err) _must_check_;
/* Runs this hook of every service that changes. */
int update_run_hooks(Deploy *d, WatchHook h, Error *err) _must_check_;

/* Lets the names in the compose file mean the images that were proved. */
void update_name_images(Deploy *d);
/* The way back: names that had been given another meaning on this box mean again what runs. */
void update_name_back(Deploy *d);
/* Whether it failed by its images' own fault. */
bool update_is_to_blame(const Deploy *d);
/* Remembers an image that could not be proved, before the journal forgets why it is rolled back. */
void update_note_failure(const Deploy *d);
/* Whether a failed update just comes again, and is not worth an entry in the history. */
bool update_is_put_off(const Deploy *d, const Error *failure);
