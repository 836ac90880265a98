/* SPDX-License-Identifier: MIT */
/* Asks container registries (OCI distribution-spec 1.1, docker's token authentication) whether images are still the
 * newest: by HEAD, and by reading manifests only where digests alone do not decide it. Nothing is ever pulled.
 *
 * Errors of an image:
 *   registry.offline       no address, no connection, no answer in time, a connection that broke: not now
 *   registry.unavailable   5xx: not now
 *   registry.rate-limited  429: not now
 *   registry.unauthorized  401 and 403: what is missing or was refused
 *   registry.not-found     404
 *   registry.tls           the certificate is not accepted; it is never skipped
 *   registry.bad-answer    what came is not what the protocol or its own digest says
 *   registry.no-platform   the index has nothing for this machine
 *   registry.blocked, registry.config   by podman's own configuration */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/data/image-manifest.h"
#include "lib/data/image-ref.h"
#include "lib/registry/registries-conf.h"

typedef struct Registry Registry; /* one round of asking: what it learns about hosts and tokens ends with it */

typedef struct RegistryOptions {
    const RegistryConf *conf; /* borrowed */
    Platform platform;
    usec_t deadline_usec;        /* for the whole round, from registry_new() on */
    usec_t request_timeout_usec; /* for one request */
    usec_t connect_timeout_usec;
    usec_t stall_usec;
} RegistryOptions;

int registry_new(sd_event *event, const RegistryOptions *options, Registry **ret, Error *err) _must_check_;
/* Cancels what is under way, without calling back. Not from a callback. */
Registry *registry_free(Registry *r);
DEFINE_CLEANUP(Registry, registry_free)

typedef struct RegistryAnswer {
    ImageVerdict verdict;      /* IMAGE_CURRENT or IMAGE_NEW */
    const RemoteImage *remote; /* platform and config digests only if they were needed */
    usec_t retry_after_usec;   /* how long a registry that turned us away asked us to wait; 0 = it did not say */
} RegistryAnswer;

/* r is 0 or negative with err set; then only retry_after_usec of the answer counts. All is borrowed until the callback ends. */
typedef void (*registry_done_t)(int r, const RegistryAnswer *answer, const Error *err, void *userdata);

/* Starts asking; the callback runs once, from the loop, at the latest at the deadline. `local` is borrowed until then.
 * Images on one host share what the first of them finds out (scheme, challenge, that it is offline). */
int registry_ask(Registry *r, const ImageRef *ref, const LocalImage *local, registry_done_t on_done, void *userdata,
                 Error *err) _must_check_;

typedef struct RegistryFigures {
    unsigned requests;
    size_t bytes; /* of heads and bodies in both directions, of the requests that were answered */
} RegistryFigures;
RegistryFigures registry_figures(const Registry *r);

/* Whether all one can do about an error is to ask again later. */
bool registry_error_is_passing(const char *id);
