/* SPDX-License-Identifier: MIT */
/* Differences between JSON objects, as JSON Merge Patch (RFC 7396) has them: a member that is null is taken away, objects are
 * merged, anything else is replaced. */
#pragma once

#include "lib/data/json.h"

/* What makes `from` to `to`, {} when they are the same; members of `to` that are null count as absent. A new object, NULL when
 * out of memory. */
cJSON *json_merge_diff(const cJSON *from, const cJSON *to);
/* Both are objects. -ENOMEM leaves `target` half changed. */
int json_merge_apply(cJSON *target, const cJSON *patch) _must_check_;
/* How many values there are in it, nested ones too. What a merge costs grows with the square of that: who merges what strangers
 * send counts first. */
size_t json_count(const cJSON *value);
