/* SPDX-License-Identifier: MIT */
/* The job `check`: does the registry have something newer for these images? Nothing is pulled, nothing on the box changes.
 *
 * Request:
 *   {"images": [{"service": "web", "image": "registry.example/acme/web:1", "imageId": "HEX"}, …], "timeoutSeconds": 120}
 * `service` is only echoed. `image` is the name from the compose file. `imageId` is the image that the service's container
 * runs (hexadecimal, without "sha256:"); without it the one that the name means on this box. `timeoutSeconds` (5 to 600, 120
 * when absent) is for all of them together. At most COMPOSE_SERVICES_MAX images; the same name twice is asked once.
 *
 * Answer, one line on standard output, images in the order of the request:
 *   {"type": "worker.check", "requests": 14, "bytes": 5120, "milliseconds": 80,
 *    "images": [{"service", "image", "imageId", "state", …}, …]}
 *   {"type": "worker.check", "error": {"id", "message"}}      when nothing could be asked at all (podman, the request)
 *
 * state      means, and the members that come with it
 * "current"  the registry has what runs; `digest` is the registry's
 * "new"      the registry has something else. `digest` (of the index if there is one), `reference` ("REGISTRY/PATH@DIGEST", what
 *            to pull), `platformDigest` (of this machine's manifest; equal to `digest` where there is no index), `newImageId` (the
 *            id it will have here, HEX); `here` is true when it is in podman's store already and need not be pulled
 * "pinned"   the name carries a digest and can never mean anything else
 * "local"    no registry has it: localhost/…, which was made on this box
 * "unknown"  it could not be found out; `error`, and
 *              `later`: true when asking again is all there is to do: registry.offline, registry.unavailable,
 *              registry.rate-limited; false when somebody has to change something
 *              `retryAfterSeconds`: what the registry asked for; absent when it said nothing
 *
 * Error ids of an image: those of lib/registry/registry-client.h; image.bad-reference, image.short-name (podman would have
 * to guess the registry: give a full name), image.missing (neither imageId nor name is on this box).
 * Exit status: 0 whenever the line has `images`, whatever their states, since being offline is no failure; 1 otherwise. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int job_check(Deploy *d, const cJSON *request);

/* The job `registry-check`: what of `check` reads the network. It runs as podman's user, whose files say how registries are
 * reached, or as nobody where that is root, and knows podman and the box only from its request:
 *   {"timeoutSeconds": N, "images": [{"image", "id", "digest", "repoDigests": [ … ]}, …]}
 * It answers with a line {"type": "worker.registry-check", "requests", "bytes", "images": [ … ]}, whose images are those of
 * the answer above without `service`, `image`, `imageId`, `reference` and `here`: those the parent knows better. */
int job_registry_check(Deploy *d, const cJSON *request);

#define CHECK_SECONDS_MIN 5
#define CHECK_SECONDS_MAX 600
#define CHECK_SECONDS_DEFAULT 120
