/* SPDX-License-Identifier: MIT */
/* Writes YAML: a cJSON value as block-style text that YAML 1.1 and 1.2 parsers read back as the same value. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/mem.h"

/* Members keep their order. Strings that any parser could take for something else (numbers, yes, null, dates,
 * base-60, indicators, white space at an end) are double-quoted with escapes; numbers, booleans and null are
 * written plainly, empty collections as {} and []. New string in *ret, ending with a newline. -EINVAL for
 * text that is not UTF-8 or nesting deeper than 64, -EMSGSIZE beyond COMPOSE_RENDERED_MAX bytes or for a key
 * of more than 512, -ENOMEM. */
int compose_emit_yaml(const cJSON *value, char **ret) _must_check_;
