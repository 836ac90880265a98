/* SPDX-License-Identifier: MIT */
/* What a row of community data has to look like. Pure. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/base/uuid.h"

#define ROW_SIZE_MAX (16 * 1024) /* bytes of JSON */

typedef enum RowKind {
    ROW_COMMUNITIES,
    ROW_UNITS,
    ROW_USERS,
    ROW_GUESTS,
    ROW_BANS,
    _ROW_KIND_COUNT,
} RowKind;

/* "communities", … */
const char *row_kind_name(RowKind kind);
/* 0 or -EINVAL. */
int row_kind_parse(const char *name, RowKind *ret) _must_check_;

/* RFC 3339, with seconds and a zone. NULL is not. */
bool row_time_is_valid(const char *text);

/* Whether rows of this kind have such a member, and it is a text. */
bool row_has_text_member(RowKind kind, const char *name);
/* What the values of a member are: a text in a CSV file stands for a number or a list. NULL when out of memory. */
cJSON *row_value_from_text(RowKind kind, const char *name, const char *text);

/* Checks a row that came from outside and brings it into the form that is kept: members that are null are left out, ids are in
 * lower case, `community` is set. `id` may be in it and must be `id` then; NULL: it names itself, and *ret_id is set. Errors:
 * row.*, with the member as key. */
int row_check(RowKind kind, const char *community, const char *id, cJSON *row, char ret_id[static UUID_SIZE],
              Error *err) _must_check_;
