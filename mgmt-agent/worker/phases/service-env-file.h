/* SPDX-License-Identifier: MIT */
/* The files that a compose file may name under `env_file`. */
#pragma once

#include "env/env-file.h"

/* For ComposeResolveOptions: secbox.env by its path, else a file in the folder of the volumes, by a path relative to it. The
 * way there and the file must belong to root alone, as for mounts: no container may write another one's environment.
 * `secbox_env` is what secbox.env holds. Errors: compose.env-file (-ENOENT when the file is not there). */
int service_env_file_read(const char *path, const EnvFile *secbox_env, char **ret, Error *err) _must_check_;
