/* SPDX-License-Identifier: MIT */
/* The file from which systemd gives the gateway its variables, for the verbs that people type. */
#pragma once

#include "lib/base/error.h"

#define GATEWAY_ENV_FILE "/etc/secbox-gateway.env"

/* The value that systemd would give `key` from such a text, quotes and backslashes included: a new string, NULL when it is not
 * there. -EINVAL (config.env-file) for what systemd reads in another way than people do: quotes that do not close, lines that go
 * on. Pure. */
int gateway_env_find(const char *text, const char *file, const char *key, char **ret, Error *err) _must_check_;

/* Adds the words that systemd makes of a value where ExecStart= names its variable without braces: quotes and backslashes keep
 * blanks in a word and go, and a quote that is not closed reaches to the end. Pure. */
int gateway_env_split(const char *value, char ***ret) _must_check_;

/* That of the named file, which has to be there, or (NULL) of GATEWAY_ENV_FILE. NULL when there is no such file, or not that key.
 * config.env-file. */
int gateway_env_load(const char *named, const char *key, char **ret, Error *err) _must_check_;

/* Lets this process, if it is root, be the user that the unit runs as: for PostgreSQL, who asks is part of what the file means.
 * config.user. */
int gateway_become_service_user(Error *err) _must_check_;
