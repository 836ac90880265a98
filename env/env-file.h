/* SPDX-License-Identifier: MIT */
/* Env files in the one dialect that python-dotenv, podman --env-file and systemd read alike: NAME=value, nothing else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

typedef struct EnvFile EnvFile; /* keys in the order of the file */

/* Pure: text in, keys out. Blank lines and lines that start with # are skipped. Refused, with file, line and key:
 * env.too-large (bytes or keys), env.syntax (no '=', white space around the key, bad key), env.export, env.quotes (a
 * value that starts or ends with a quote), env.duplicate-key, env.control-character (NUL, CR, BOM, other control
 * characters), env.white-space (before or after a value; a value of white space alone is kept for env_validate() to
 * judge), env.comment (white space and # inside a value), env.backslash, env.value-too-long, env.not-utf8,
 * env.dangerous-key (LD_*, PATH, PYTHON*, …: they would steer podman itself; see env_key_is_dangerous()). No error ever
 * holds a value. */
int env_parse(const char *text, size_t len, const char *file, EnvFile **ret, Error *err) _must_check_;

/* The whole text of a file; a new string, secret. Errors: env.missing, env.too-large, file.read. */
int env_file_read(const char *path, char **ret, size_t *ret_len, Error *err) _must_check_;

/* env_parse() of a file. -ENOENT with env.missing when it does not exist. */
int env_load(const char *path, EnvFile **ret, Error *err) _must_check_;

EnvFile *env_new(void);
EnvFile *env_free(EnvFile *e);
DEFINE_CLEANUP(EnvFile, env_free)

size_t env_size(const EnvFile *e);
const char *env_key_at(const EnvFile *e, size_t i);
const char *env_value_at(const EnvFile *e, size_t i);
/* Line of the key in its file, 0 when it was set by env_set(). */
unsigned env_line_at(const EnvFile *e, size_t i);
/* NULL when unset; "" when set and empty. */
const char *env_get(const EnvFile *e, const char *key);
/* Adds or replaces. env.bad-value when the dialect cannot express the key or the value. */
int env_set(EnvFile *e, const char *key, const char *value, Error *err) _must_check_;

/* What keeps a value from a line of such a file: a sentence that does not hold the value, for ever valid. NULL: nothing does. */
const char *env_value_fault(const char *value);

/* The file's text: one NAME=value line per key. A new string that the caller treats as secret. NULL = out of memory. */
char *env_print(const EnvFile *e);

bool env_key_is_dangerous(const char *key);
