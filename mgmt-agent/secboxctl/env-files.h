/* SPDX-License-Identifier: MIT */
/* The two env files of a box, checked as the agent does: dialect, rules, owner and mode. */
#pragma once

#include "env/env-rules.h"
#include "lib/base/error.h"

/* Path of a kind's file below the prefix: a new string. */
char *env_files_path(EnvFileKind kind);

/* Loads and validates one file. `env` may come back with a file that is readable but not valid; the caller frees it.
 * Errors: env.*, and env.bad-owner, env.bad-mode with the command that mends it. */
int env_files_check(EnvFileKind kind, const EnvFile *agent_env, EnvFile **ret_env, Error *err) _must_check_;
