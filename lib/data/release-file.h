/* SPDX-License-Identifier: MIT */
/* The files of RELEASE_STATE_DIR, which mgmt-agent and secboxctl both read and write. */
#pragma once

#include "lib/data/json-fields.h"

/* Without a file *ret stays as it is, which has to be empty. `path` is without the prefix of --root. release.damaged */
int release_file_load(const char *path, const JsonType *type, void *ret, Error *err) _must_check_;
/* Durable when it returns; makes the folder, as the third does alone. */
int release_file_save(const char *path, const JsonType *type, const void *value, Error *err) _must_check_;
int release_file_make_folder(Error *err) _must_check_;
