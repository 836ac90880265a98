/* SPDX-License-Identifier: MIT */
/* The files that a compose file names beside itself, as one archive that is known by its digest: a gzipped tar of regular files and
 * the folders above them, the same bytes for the same files. No links, devices, owners, set-id bits or times are in it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/data/digest.h"

#define BUNDLE_DIGEST_PREFIX "sha256:"
#define BUNDLE_DIGEST_SIZE (sizeof(BUNDLE_DIGEST_PREFIX) - 1 + SHA256_HEX_SIZE)

/* "sha256:" and 64 lower-case hexadecimal digits. */
bool bundle_digest_is_valid(const char *digest);
int bundle_digest(const char *data, size_t len, char ret[static BUNDLE_DIGEST_SIZE]) _must_check_;
/* Relative and clean: no "..", no empty part, nothing that does not print. */
bool bundle_path_is_valid(const char *path);
/* By which a snapshot is known: the digest of its text, or, with a bundle (NULL: none), of both. */
int bundle_snapshot_digest(const char *text, const char *digest, char ret[static SHA256_HEX_SIZE]) _must_check_;

/* The first `max` bytes, or fewer, of one file in an archive, and nothing else of it: -ENOENT, or -EBADMSG where it is none. */
int bundle_peek(const char *data, size_t len, const char *name, size_t max, char **ret, size_t *ret_len) _must_check_;

typedef struct BundlePack BundlePack; /* what is to travel */

BundlePack *bundle_pack_new(void);
BundlePack *bundle_pack_free(BundlePack *p);
DEFINE_CLEANUP(BundlePack, bundle_pack_free)
/* A file, or a folder with all that is in it, under this path. `source` itself may be a link, what is in a folder may not.
 * Errors: bundle.bad-path, bundle.bad-entry, bundle.read, bundle.too-large, bundle.too-many. */
int bundle_pack_add(BundlePack *p, const char *path, const char *source, Error *err) _must_check_;
/* What was added: path and content, in no order. */
size_t bundle_pack_count(const BundlePack *p);
const char *bundle_pack_path(const BundlePack *p, size_t i);
const char *bundle_pack_content(const BundlePack *p, size_t i, size_t *ret_len);
/* Puts this content, which it takes, in the place of another one. */
void bundle_pack_replace(BundlePack *p, size_t i, char *content, size_t len);
/* The archive, and its digest. bundle.too-large. */
int bundle_pack_finish(BundlePack *p, char **ret, size_t *ret_len, char ret_digest[static BUNDLE_DIGEST_SIZE],
                       Error *err) _must_check_;

/* Unpacks into `folder`, which is there, empty and nobody else's. On failure some of it may be there. Nothing is synced.
 * Errors: bundle.bad-path, bundle.bad-entry, bundle.damaged, bundle.too-large, bundle.too-many, bundle.write. */
int bundle_unpack(const char *data, size_t len, const char *folder, Error *err) _must_check_;
/* The same of what can be read from a descriptor, whose files have at most `max` bytes together. Little of it is in memory at a
 * time. */
int bundle_unpack_fd(int fd, uint64_t max, const char *folder, Error *err) _must_check_;
