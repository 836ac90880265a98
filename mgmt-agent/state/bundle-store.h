/* SPDX-License-Identifier: MIT */
/* The files that came with snapshots. Each archive is unpacked once, into a folder of root's alone that its digest names. What
 * services mount of it is copied from there to FILES_DIR, under a name made of its content: as long as a file stays the same its
 * path does, so that a push with one changed file replaces only the services that mount it. */
#pragma once

#include <sys/types.h>

#include "lib/data/bundle.h"
#include "lib/data/json.h"

typedef struct KeptBundle KeptBundle;

/* Unpacks the archive if that has not been done, from where secboxctl or mgmt-link left it. Nothing half unpacked is ever seen. As
 * long as it is open, nothing is swept. Errors: bundle.not-here, bundle.digest, those of bundle_unpack(). */
int kept_bundle_open(const char *digest, KeptBundle **ret, Error *err) _must_check_;
KeptBundle *kept_bundle_free(KeptBundle *b);
DEFINE_CLEANUP(KeptBundle, kept_bundle_free)

typedef enum KeptKind { KEPT_NOTHING, KEPT_FILE, KEPT_FOLDER } KeptKind;

/* NULL-safe: nothing is in no bundle. */
KeptKind kept_bundle_find(const KeptBundle *b, const char *path);
/* A text file; -ENOENT, bundle.damaged. */
int kept_bundle_read(const KeptBundle *b, const char *path, size_t max, char **ret, Error *err) _must_check_;
/* Any file: `ret_len` bytes, which a NUL follows. */
int kept_bundle_read_bytes(const KeptBundle *b, const char *path, size_t max, char **ret, size_t *ret_len,
                           Error *err) _must_check_;
/* What differs: an array of {"path", "change"}, with `added`, `changed` or `removed`, and how many more than `max` there are. NULL
 * is one without files. bundle.damaged. */
int kept_bundle_compare(const KeptBundle *before, const KeptBundle *after, size_t max, cJSON **ret, size_t *ret_more,
                        Error *err) _must_check_;
/* Copies it to where containers mount it, unless it is there, and tells its path. The podman user's group may enter. */
int kept_bundle_place(const KeptBundle *b, const char *path, gid_t gid, char **ret, Error *err) _must_check_;

/* Removes what no kept snapshot came with. Nothing happens while a bundle is open anywhere, or a snapshot cannot be read. */
void bundle_store_sweep(void);
