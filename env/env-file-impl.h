/* SPDX-License-Identifier: MIT */
/* What the readers of both dialects share; only for the files of env/. */
#pragma once

#include "env/env-file.h"

/* Appends a key that is not there yet; copies both. 0 or -ENOMEM. */
int env_file_add(EnvFile *e, const char *key, const char *value, size_t value_len, unsigned line) _must_check_;
