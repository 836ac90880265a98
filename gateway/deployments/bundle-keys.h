/* SPDX-License-Identifier: MIT */
/* Secrets among the files of a push are sealed by the operator, with one key for the whole archive. What is kept here is that key,
 * wrapped for each box that may read them: of no use to anybody else, this gateway included (lib/data/seal.h). It is beside the
 * archive and not in it, so that the archive and its digest are the same for all boxes. */
#pragma once

#include "gateway/deployments/bundles.h"

typedef struct BundleKeys BundleKeys;

/* In a folder below the state folder, which is made when there is something to keep. The rest is borrowed. */
int bundle_keys_new(sd_event *event, const char *state_dir, Requests *requests, const Bundles *bundles,
                    BundleKeys **ret, Error *err) _must_check_;
/* NULL-safe. */
BundleKeys *bundle_keys_free(BundleKeys *k);
DEFINE_CLEANUP(BundleKeys, bundle_keys_free)

/* The key for this box; a new string in *ret, NULL when nothing in the archive is sealed. `keys` is a BundleKeys. bundle.no-key
 * (-EINVAL): it is sealed, and for other boxes. */
int bundle_keys_find(const char *device, const char *digest, char **ret, void *keys, Error *err) _must_check_;

/* Removes those whose archive is gone. Now and then. */
void bundle_keys_sweep(BundleKeys *k);

extern const Route bundle_key_routes[]; /* of a BundleKeys */
