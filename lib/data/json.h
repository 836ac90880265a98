/* SPDX-License-Identifier: MIT */
/* JSON (RFC 8259) with cJSON. Depth, size and UTF-8 are checked before cJSON sees the text; duplicate keys are looked
 * for in its tree before anybody else sees it. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

DEFINE_CLEANUP(cJSON, cJSON_Delete)

/* Parses one JSON value with nothing after it. Errors: json.too-large, json.too-deep, json.syntax, json.duplicate-key,
 * json.not-utf8. *ret is owned by the caller (cJSON_Delete). */
int json_parse(const char *text, size_t len, cJSON **ret, Error *err) _must_check_;

/* Like json_parse(), but the value must be an object (json.not-object). */
int json_parse_object(const char *text, size_t len, cJSON **ret, Error *err) _must_check_;

/* Compact text on one line, NULL when out of memory. */
char *json_print(const cJSON *value);
/* Indented for people. */
char *json_print_pretty(const cJSON *value);
/* Compact, members sorted by key at every level: the same value always gives the same bytes. */
char *json_print_canonical(const cJSON *value);

/* Borrowed members, NULL (or the default) when missing or of another type. */
const char *json_string(const cJSON *object, const char *key);
bool json_bool(const cJSON *object, const char *key, bool fallback);
/* 64-bit numbers travel as decimal strings; small ones may be JSON integers. -ENOENT missing, -EINVAL otherwise. */
int json_u64(const cJSON *object, const char *key, uint64_t *ret);

/* Adding; a NULL string value is left out. 0 or -ENOMEM. */
int json_add_string(cJSON *object, const char *key, const char *value) _must_check_;
int json_add_u64(cJSON *object, const char *key, uint64_t value) _must_check_; /* as a string */
int json_add_int(cJSON *object, const char *key, int value) _must_check_;
int json_add_bool(cJSON *object, const char *key, bool value) _must_check_;
/* Takes `item`, also on failure. */
int json_add_item(cJSON *object, const char *key, cJSON *item) _must_check_;
int json_append(cJSON *array, cJSON *item) _must_check_;

/* {"id":…,"message":…} plus file, line and key where known. NULL when out of memory. */
cJSON *json_from_error(const Error *err, int r);
/* Reads that back: fills err with the id and sentence of the object; returns -code. Unknown ids are kept. */
int json_to_error(const cJSON *object, int code, Error *err);

/* The members of an object as "site=north,floor=2", "-" for what is no text: a new string; "" for what is no object. NULL: no
 * memory. */
char *json_pairs(const cJSON *object, const char *separator);
