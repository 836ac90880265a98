/* SPDX-License-Identifier: MIT */
/* Files that the agent itself writes for containers to mount: `configs` and `secrets` whose text stands in a compose file or in a
 * variable, or that came along and have rights of their own. They lie below FILES_DIR, beside those that came with a snapshot,
 * under a name that is a keyed digest (HMAC-SHA256, RFC 2104) of all that such a file is: the same file has the same path at
 * every push, and who sees the path, in a container or in podman's answers, learns nothing of what the file holds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

#define MADE_FILE_MAX ((size_t) 1024 * 1024)

typedef struct MadeFile {
    char *service; /* NULL: the same for all that have it */
    char *name;    /* of the config or secret; the file's own */
    char *content;
    size_t len;
    bool is_secret;
    int64_t uid, gid, mode; /* as asked for, in the container; -1: not said */
} MadeFile;

MadeFile *made_file_free(MadeFile *f);
DEFINE_CLEANUP(MadeFile, made_file_free)

/* Where it belongs; a new string. Makes the box's key when there is none. Errors: those of reading and writing the key. */
int made_file_path(const MadeFile *f, char **ret, Error *err) _must_check_;

/* Writes it there, durably, unless it is there. Who owns it there already keeps it: then everybody in the container may read it,
 * since another image of the service has another user. The group of FILES_DIR may enter that. Errors: file.write. */
int made_file_write(const MadeFile *f, const char *path, mode_t mode, uid_t uid, gid_t gid, gid_t files_gid,
                    Error *err) _must_check_;

/* The name below FILES_DIR that a path of something mounted has; a new string in *ret, NULL when it lies elsewhere. */
int made_file_place(const char *path, char **ret) _must_check_;
