/* SPDX-License-Identifier: MIT */
/* Env files that people write, as docker compose reads them. What we write ourselves is in the strict dialect of
 * env-file.h, and every line of that means the same here. */
#pragma once

#include "env/env-file.h"

/* KEY=value lines, with all of this allowed: `export` before a key, white space around key and value, a comment behind
 * white space and #, lines that end in CR LF, a byte order mark, and values in quotes: 'as they are', or "with \n, \t, \r,
 * \", \\ and \$", both also over several lines. Names may hold dots and dashes, up to ENV_NAME_MAX bytes. A `$` stays a `$`:
 * nothing is put in for variables. Errors: env.too-large, env.syntax (no '=', bad key, a quote left open, something behind
 * a closing quote), env.duplicate-key, env.control-character, env.value-too-long, env.not-utf8. No error ever holds a value. */
int dotenv_parse(const char *text, size_t len, const char *file, EnvFile **ret, Error *err) _must_check_;

/* dotenv_parse() of the box's own file: keys by which it could steer podman itself are env.dangerous-key (see
 * env_key_is_dangerous()). -ENOENT with env.missing when it does not exist. */
int dotenv_load(const char *path, EnvFile **ret, Error *err) _must_check_;

/* A text that dotenv_parse() reads back as the same keys and values. A new string, secret; NULL when out of memory. */
char *dotenv_print(const EnvFile *e);
