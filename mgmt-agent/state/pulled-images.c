/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/pulled-images.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define PULLED_MAX 500

static char *pulled_path(void)
{
    return path_in_root(AGENT_STATE_DIR "/pulled-images.json");
}

static int no_memory(Error *err)
{
    return error_set(err, ENOMEM, "images.pulled-list", "no memory for the list of pulled images");
}

int pulled_load(cJSON **ret, Error *err)
{
    _cleanup_(freep) char *path = pulled_path();
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    size_t len = 0;

    if (!path)
        return no_memory(err);
    if (file_read(path, JSON_SIZE_MAX, &text, &len, NULL) < 0 || json_parse_object(text, len, &o, NULL) < 0 ||
        !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(o, "images")) ||
        !cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(o, "snapshots"))) {
        cJSON_Delete(o);
        o = cJSON_CreateObject();
        if (!o || json_add_item(o, "images", cJSON_CreateArray()) < 0 ||
            json_add_item(o, "snapshots", cJSON_CreateObject()) < 0)
            return no_memory(err);
    }
    *ret = TAKE_PTR(o);
    return 0;
}

int pulled_save(const cJSON *pulled, Error *err)
{
    _cleanup_(freep) char *path = pulled_path();
    _cleanup_(freep) char *text = json_print(pulled);

    if (!path || !text)
        return no_memory(err);
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

void pulled_forget(void)
{
    _cleanup_(freep) char *path = pulled_path();

    if (path)
        (void) unlink(path);
}

int pulled_add_image(cJSON *pulled, const char *image_id, const char *reference)
{
    cJSON *images = cJSON_GetObjectItemCaseSensitive(pulled, "images"), *o;
    const cJSON *image;

    cJSON_ArrayForEach(image, images)
        if (str_equal(json_string(image, "imageId"), image_id))
            return 0;
    o = cJSON_CreateObject();
    if (!o || json_append(images, o) < 0 || json_add_string(o, "imageId", image_id) < 0 ||
        json_add_string(o, "reference", reference) < 0)
        return -ENOMEM;
    while (cJSON_GetArraySize(images) > PULLED_MAX)
        cJSON_DeleteItemFromArray(images, 0);
    return 0;
}

int pulled_note_snapshot(cJSON *pulled, const char *version, const cJSON *services)
{
    cJSON *snapshots = cJSON_GetObjectItemCaseSensitive(pulled, "snapshots"), *ids = cJSON_CreateArray();
    const cJSON *service;
    int r = 0;

    cJSON_DeleteItemFromObjectCaseSensitive(snapshots, version);
    r = json_add_item(snapshots, version, ids);
    cJSON_ArrayForEach(service, services)
        if (r == 0 && json_string(service, "imageId"))
            r = json_append(ids, cJSON_CreateString(json_string(service, "imageId")));
    return r;
}

/* As podman writes names: with the registry, and with a tag. */
static bool is_name_of(const char *name, const char *reference)
{
    const char *slash = strrchr(reference, '/');
    bool tagged = strchr(slash ? slash : reference, ':') != NULL;
    _cleanup_(freep) char *full = str_format("%s%s", reference, tagged ? "" : ":latest");
    size_t n = strlen(name), len = full ? strlen(full) : 0;

    return full && n >= len && str_equal(name + n - len, full) && (n == len || name[n - len - 1] == '/');
}

bool pulled_is_nameless(const cJSON *names, const char *reference, const char *keep)
{
    const cJSON *name;

    cJSON_ArrayForEach(name, names) {
        const char *text = cJSON_GetStringValue(name);

        if (text && !strchr(text, '@') && !(reference && is_name_of(text, reference)) &&
            !(str_starts(text, keep) && text[strlen(keep)] == ':'))
            return false;
    }
    return true;
}
