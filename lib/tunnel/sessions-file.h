/* SPDX-License-Identifier: MIT */
/* A file that shows who is logged in: written by the program that lets people in, read by `secboxctl sessions`. A lock
 * on a second file beside it shows that it is still true: the lock ends with the process, even one in a container. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/error.h"

typedef struct SessionsFile SessionsFile;

/* Makes its folder (0700), but not that folder's parents. What an earlier process left is replaced. */
int sessions_file_new(const char *path, const char *program, SessionsFile **ret, Error *err) _must_check_;
/* Removes the file. NULL-safe. */
SessionsFile *sessions_file_free(SessionsFile *f);
DEFINE_CLEANUP(SessionsFile, sessions_file_free)

/* Takes `sessions`, an array, also on failure. Root and the program's own user may read the file. */
int sessions_file_write(SessionsFile *f, cJSON *sessions, Error *err) _must_check_;

/* {"program", "pid", "bootId", "sessions": […]}. -ENOENT when there is none, or its writer has ended; sessions.damaged. */
int sessions_file_read(const char *path, cJSON **ret, Error *err) _must_check_;
