/* SPDX-License-Identifier: MIT */
#include "lib/data/json-merge.h"

#include <errno.h>

static const cJSON *find(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

size_t json_count(const cJSON *value)
{
    const cJSON *item;
    size_t n = 0;

    cJSON_ArrayForEach(item, value)
        n += 1 + json_count(item);
    return n;
}

static bool is_absent(const cJSON *item)
{
    return !item || cJSON_IsNull(item);
}

/* A copy as a merge would leave it: without the nulls. */
static cJSON *copy(const cJSON *item)
{
    _cleanup_(cJSON_Deletep) cJSON *object = NULL;

    if (!cJSON_IsObject(item))
        return cJSON_Duplicate(item, true);
    object = cJSON_CreateObject();
    return object && json_merge_apply(object, item) == 0 ? TAKE_PTR(object) : NULL;
}

static int add_change(cJSON *patch, const cJSON *before, const cJSON *after)
{
    cJSON *change;

    if (cJSON_IsObject(before) && cJSON_IsObject(after)) {
        change = json_merge_diff(before, after);
        if (change && !change->child) {
            cJSON_Delete(change);
            return 0;
        }
    } else if (!is_absent(before) && cJSON_Compare(before, after, true)) {
        return 0;
    } else {
        change = copy(after);
    }
    return json_add_item(patch, after->string, change);
}

cJSON *json_merge_diff(const cJSON *from, const cJSON *to)
{
    _cleanup_(cJSON_Deletep) cJSON *patch = cJSON_CreateObject();
    const cJSON *item;

    if (!patch)
        return NULL;
    cJSON_ArrayForEach(item, from)
        if (!is_absent(item) && is_absent(find(to, item->string)) &&
            json_add_item(patch, item->string, cJSON_CreateNull()) < 0)
            return NULL;
    cJSON_ArrayForEach(item, to)
        if (!is_absent(item) && add_change(patch, find(from, item->string), item) < 0)
            return NULL;
    return TAKE_PTR(patch);
}

static int apply_member(cJSON *target, const cJSON *change)
{
    cJSON *before = cJSON_GetObjectItemCaseSensitive(target, change->string);

    if (cJSON_IsObject(change) && cJSON_IsObject(before))
        return json_merge_apply(before, change);
    cJSON_DeleteItemFromObjectCaseSensitive(target, change->string);
    return cJSON_IsNull(change) ? 0 : json_add_item(target, change->string, copy(change));
}

int json_merge_apply(cJSON *target, const cJSON *patch)
{
    const cJSON *change;

    cJSON_ArrayForEach(change, patch) {
        int r = apply_member(target, change);

        if (r < 0)
            return r;
    }
    return 0;
}
