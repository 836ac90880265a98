/* SPDX-License-Identifier: MIT */
/* From text to a tree that has only known keys in known shapes. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"
#include "lib/data/yaml.h"

/* A file that passed strict YAML and the schema, variables still in it. */
typedef struct ComposeFile ComposeFile;

/* Strict YAML (lib/data/yaml.h), then the schema: unknown keys are compose.unknown-key (with the nearest known key
 * as a hint), wrong shapes compose.bad-type, no services compose.no-services, `extends`/`include` and other
 * keys that reach outside the file compose.unsupported-key. Keys beginning with x- are dropped. Services with
 * `profiles` are left out (as `docker compose up` does without --profile). Errors carry file, line and key. */
int compose_parse(const char *text, size_t len, const char *file, ComposeFile **ret, Error *err) _must_check_;
ComposeFile *compose_file_free(ComposeFile *f);
DEFINE_CLEANUP(ComposeFile, compose_file_free)
const YamlNode *compose_file_root(const ComposeFile *f);
const char *compose_file_name(const ComposeFile *f);

/* Letters, digits, '.', '_' and '-', a letter or digit first, at most 63: what podman takes for any name. */
bool compose_name_is_valid(const char *name);
