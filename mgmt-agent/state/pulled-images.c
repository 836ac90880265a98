/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/pulled-images.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/state-file.h"

#define PULLED_FILE "pulled-images.json"
#define PULLED_MAX 500

static const JsonField image_fields[] = {
    { JSON_FIELD(PulledImage, image_id, "imageId") },
    { JSON_FIELD(PulledImage, reference, "reference") },
    { JSON_REST_FIELD(PulledImage, rest) },
    {},
};
static const JsonType image_type = JSON_TYPE(PulledImage, image_fields);

static const JsonField fields[] = {
    { JSON_LIST_FIELD(PulledImages, images, "images", &image_type) },
    { JSON_FIELD(PulledImages, snapshots, "snapshots") },
    { JSON_REST_FIELD(PulledImages, rest) },
    {},
};
static const JsonType type = JSON_TYPE(PulledImages, fields);

int pulled_load(PulledImages *ret)
{
    if (state_load(PULLED_FILE, &type, ret, NULL) == 0 && ret->images && cJSON_IsObject(ret->snapshots))
        return 0;
    /* one without the other says nothing */
    pulled_done(ret);
    ret->images = calloc(1, sizeof(*ret->images));
    ret->snapshots = cJSON_CreateObject();
    return ret->images && ret->snapshots ? 0 : -ENOMEM;
}

int pulled_save(const PulledImages *p, Error *err)
{
    return state_save(PULLED_FILE, &type, p, err);
}

void pulled_done(PulledImages *p)
{
    json_done(&type, p);
}

void pulled_forget(void)
{
    _cleanup_(freep) char *path = project_path(PULLED_FILE);

    if (path)
        (void) unlink(path);
}

int pulled_add_image(PulledImages *p, const char *image_id, const char *reference)
{
    PulledImage *image;

    for (size_t i = 0; i < p->n_images; i++)
        if (str_equal(p->images[i].image_id, image_id))
            return 0;
    while (p->n_images >= PULLED_MAX)
        pulled_remove_image(p, 0);
    image = json_list_add(&image_type, &p->images, &p->n_images);
    return image && json_set(&image->image_id, image_id) == 0 ? json_set(&image->reference, reference) : -ENOMEM;
}

void pulled_remove_image(PulledImages *p, size_t at)
{
    json_list_remove(&image_type, p->images, &p->n_images, at);
}

int pulled_note_snapshot(PulledImages *p, const Current *c)
{
    cJSON *ids = cJSON_CreateArray();
    int r;

    cJSON_DeleteItemFromObjectCaseSensitive(p->snapshots, c->version);
    r = json_add_item(p->snapshots, c->version, ids);
    for (size_t i = 0; r == 0 && i < c->n_services; i++)
        if (c->services[i].image_id)
            r = json_append(ids, cJSON_CreateString(c->services[i].image_id));
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
