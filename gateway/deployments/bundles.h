/* SPDX-License-Identifier: MIT */
/* The files that travel with pushes: operators bring each archive once, under its digest, and the boxes that a push of it goes to
 * fetch it. On disk, not in the database; what nobody has brought again for a week goes, unless something that has not been sent to
 * every box names it. */
#pragma once

#include "gateway/auth/device-tokens.h"
#include "gateway/http/request.h"
#include "lib/data/bundle.h"

typedef struct Bundles Bundles;

/* In a folder below the state folder, which is made when there is something to keep. The rest is borrowed. */
int bundles_new(sd_event *event, const char *state_dir, Store *store, Requests *requests, const DeviceTokens *tokens,
                Bundles **ret, Error *err) _must_check_;
Bundles *bundles_free(Bundles *b);
DEFINE_CLEANUP(Bundles, bundles_free)
/* Of a request's `bundle`, an object with a digest: whether the files are here. NULL is no bundle, and *ret then NULL. Errors:
 * bundle.bad-digest, bundle.not-here, bundle.too-large. */
int bundles_check(const Bundles *b, const cJSON *bundle, const char **ret, Error *err) _must_check_;
/* The same of a release's archive, which may be longer. */
int bundles_check_release(const Bundles *b, const cJSON *bundle, const char **ret, Error *err) _must_check_;
/* The same for a question to this box, which may fetch them from now on, for an hour or so; `bundles` is a Bundles. */
int bundles_offer(const char *device, const cJSON *bundle, void *bundles, Error *err) _must_check_;
/* Removes what is old. Now and then. */
void bundles_sweep(Bundles *b);

/* How long the body of this request may be: of what brings an archive, else 0. */
size_t bundle_body_max(const HttpExchange *x);

extern const Route bundle_routes[]; /* of a Bundles */
