/* SPDX-License-Identifier: MIT */
/* A folder of files, each named by the digest of an archive that travels with a push; operators bring them. A file is written
 * durably before it is answered that it is kept. */
#pragma once

#include <sys/stat.h>

#include "gateway/http/request.h"
#include "gateway/deployments/bundle-writer.h"

typedef struct BundleFolder BundleFolder;

typedef struct BundleFolderEvents {
    void (*answer)(Request *c);      /* what was brought is on disk: says so */
    void (*written)(void *userdata); /* before that; or it could not be written */
} BundleFolderEvents;

/* The folder `name` below the state folder; it is made when there is something to keep. All but the state folder's path is
 * borrowed. */
int bundle_folder_new(sd_event *event, const char *state_dir, const char *name, Requests *requests,
                      const BundleFolderEvents *events, void *userdata, BundleFolder **ret, Error *err) _must_check_;
/* NULL-safe. */
BundleFolder *bundle_folder_free(BundleFolder *f);
DEFINE_CLEANUP(BundleFolder, bundle_folder_free)

/* Where the file for this digest, which is a valid one, lies or would lie. NULL: no memory. */
char *bundle_folder_path(const BundleFolder *f, const char *digest) _must_check_;

/* Whether a file for this digest is being written. */
bool bundle_folder_is_saving(const BundleFolder *f, const char *digest);

/* Writes what came with the request, for the digest args[0], or waits for what is being written for it already, and answers:
 * by events->answer(), 503 bundle.busy, or 507 bundle.not-kept. */
void bundle_folder_save(BundleFolder *f, Request *c, const void *data, size_t len);

/* A file for this digest that arrives piece by piece. */
int bundle_folder_receive(const BundleFolder *f, const char *digest, const BundleWriterEvents *events, void *userdata,
                          BundleWriter **ret, Error *err) _must_check_;
/* Answers with 507 bundle.not-kept. */
void bundle_folder_not_kept(Request *c);
/* Answers with bundle.busy. */
void bundle_folder_busy(Request *c);

/* Removes what nobody writes to any more, and the files of which is_done() says so. `name` is that of the file: its digest's
 * hexadecimal digits. */
void bundle_folder_sweep(const BundleFolder *f,
                         bool (*is_done)(const char *name, const struct stat *st, const void *userdata),
                         const void *userdata);
