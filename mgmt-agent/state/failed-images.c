/* SPDX-License-Identifier: MIT */
/* A bounded list in one file. */

#include "mgmt-agent/state/failed-images.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

static char *failed_path(void)
{
    return path_in_root(AGENT_STATE_DIR "/updates-failed.json");
}

static int no_memory(Error *err)
{
    return error_set(err, ENOMEM, "update.failed-list", "no memory for the list of failed images");
}

int failed_load(cJSON **ret, Error *err)
{
    _cleanup_(freep) char *path = failed_path();
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    size_t len = 0;

    if (!path)
        return no_memory(err);
    /* losing it costs one more try of an image that is proved before it is kept */
    if (file_read(path, JSON_SIZE_MAX, &text, &len, NULL) < 0 || json_parse_object(text, len, &o, NULL) < 0 ||
        !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(o, "failed"))) {
        cJSON_Delete(o);
        o = cJSON_CreateObject();
        if (!o || json_add_item(o, "failed", cJSON_CreateArray()) < 0)
            return no_memory(err);
    }
    *ret = TAKE_PTR(o);
    return 0;
}

static int save(const cJSON *o, Error *err)
{
    _cleanup_(freep) char *path = failed_path();
    _cleanup_(freep) char *text = json_print(o);

    if (!path || !text)
        return no_memory(err);
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

static bool is_of(const cJSON *entry, const char *digest, const char *image_id)
{
    const char *its_digest = json_string(entry, "digest"), *its_id = json_string(entry, "imageId");

    return (digest && str_equal(its_digest, digest)) || (image_id && str_equal(its_id, image_id));
}

static int times_of(const cJSON *entry)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(entry, "times");

    return cJSON_IsNumber(n) && n->valueint > 0 && n->valueint < 1000 ? n->valueint : 1;
}

int failed_add(cJSON *entry, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *owned = entry;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    int times = 1, r = failed_load(&o, err);
    cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "failed");

    for (int i = cJSON_GetArraySize(list) - 1; r == 0 && i >= 0; i--) {
        const cJSON *old = cJSON_GetArrayItem(list, i);

        if (!is_of(old, json_string(entry, "digest"), json_string(entry, "imageId")))
            continue;
        times += times_of(old);
        cJSON_DeleteItemFromArray(list, i);
    }
    if (r < 0)
        return r;
    if (json_add_int(owned, "times", times) < 0 || !cJSON_InsertItemInArray(list, 0, owned))
        return no_memory(err);
    owned = NULL;
    while (cJSON_GetArraySize(list) > FAILED_MAX)
        cJSON_DeleteItemFromArray(list, FAILED_MAX);
    return save(o, err);
}

const cJSON *failed_find(const cJSON *failed, const char *digest, const char *image_id)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(failed, "failed")) {
        const char *why = json_string(cJSON_GetObjectItemCaseSensitive(entry, "error"), "id");

        if (is_of(entry, digest, image_id))
            return str_equal(why, "confirm.deadline") && times_of(entry) < FAILED_UNCONFIRMED_MAX ? NULL : entry;
    }
    return NULL;
}

int failed_forget(const char *what, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    int found = 0, r = failed_load(&o, err);
    cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "failed");

    for (int i = cJSON_GetArraySize(list) - 1; r == 0 && i >= 0; i--)
        if (str_equal(what, "all") || is_of(cJSON_GetArrayItem(list, i), what, what)) {
            cJSON_DeleteItemFromArray(list, i);
            found++;
        }
    if (r < 0 || (found == 0 && str_equal(what, "all")))
        return r;
    if (found == 0)
        return error_set(err, ENOENT, "update.unknown-digest",
                         "no image with the digest %.80s has failed here; `secboxctl updates` shows those that have",
                         what);
    return save(o, err);
}
