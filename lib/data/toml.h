/* SPDX-License-Identifier: MIT */
/* The part of TOML 1.0 that the configuration files of podman and its libraries use. Pure. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

typedef enum TomlType {
    TOML_TABLE,   /* a [table] or an element of an array of [[tables]] begins; no value */
    TOML_STRING,  /* also each string of an array */
    TOML_BOOLEAN, /* "true" or "false" */
    TOML_NUMBER,  /* as written */
} TomlType;

/* table is the name of the table ("", "registry", "registry.mirror"). A non-zero result ends the reading and is
 * returned. */
typedef int (*toml_value_t)(const char *table, const char *key, TomlType type, const char *value, unsigned line,
                            void *userdata);

/* Reports every value in order. Strict: what it does not know (inline tables, multi-line strings, dates, dotted keys)
 * is an error and is not skipped. `file` is for the error: toml.syntax, toml.unsupported, with file and line. */
int toml_read(const char *text, size_t len, const char *file, toml_value_t on_value, void *userdata,
              Error *err) _must_check_;
