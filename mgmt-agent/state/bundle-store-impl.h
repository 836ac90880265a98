/* SPDX-License-Identifier: MIT */
/* What the files of the store share. */
#pragma once

#include <sys/stat.h>

#include "mgmt-agent/state/bundle-store.h"

#define PLACED_MAX ((size_t) 1024 * 1024) /* bytes of the list of names below FILES_DIR */

struct KeptBundle {
    char *folder; /* of this bundle */
    char *tree;   /* in it, what was unpacked */
    char *placed; /* in it: the names below FILES_DIR that were made of it, one a line */
    int lock;     /* shared */
};

/* The way to something of ours below BUNDLES_DIR: a new string, or NULL. */
char *bundle_store_path(const char *name);
/* One step of a walk over a file, or over a folder and what is in it, in the order of the names. */
typedef int (*bundle_visit_t)(const char *path, const char *below, const struct stat *st, void *userdata, Error *err);
/* `below` is what the walk begins with, and of what is in it the way from there. */
int bundle_store_walk(const char *path, const char *below, bundle_visit_t visit, void *userdata,
                      Error *err) _must_check_;
/* A folder with all that is in it is on the disk when this returns. */
int bundle_store_sync(const char *path, Error *err) _must_check_;
/* -EAGAIN: somebody else has it. */
int bundle_store_lock(int kind, int *ret, Error *err) _must_check_;
