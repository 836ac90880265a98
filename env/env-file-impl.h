/* SPDX-License-Identifier: MIT */
/* What the readers of both dialects share; only for the files of env/. */
#pragma once

#include "env/env-file.h"

/* Appends a key that is not there yet; copies both. 0 or -ENOMEM. */
int env_file_add(EnvFile *e, const char *key, const char *value, size_t value_len, unsigned line) _must_check_;

/* The whole text of a file; a new string, secret. Errors: env.missing, env.too-large, file.read. */
int env_file_read(const char *path, char **ret, size_t *ret_len, Error *err) _must_check_;
