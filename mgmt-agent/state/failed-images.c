/* SPDX-License-Identifier: MIT */
/* A bounded list in one file. */

#include "mgmt-agent/state/failed-images.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/state-file.h"

#define FAILED_FILE "updates-failed.json"

static const JsonField image_fields[] = {
    { JSON_FIELD(FailedImage, service, "service") }, { JSON_FIELD(FailedImage, image, "image") },
    { JSON_FIELD(FailedImage, digest, "digest") },   { JSON_FIELD(FailedImage, image_id, "imageId") },
    { JSON_TIME_FIELD(FailedImage, at, "at") },      { JSON_FIELD(FailedImage, error, "error") },
    { JSON_FIELD(FailedImage, log, "log") },         { JSON_FIELD(FailedImage, times, "times") },
    { JSON_REST_FIELD(FailedImage, rest) },          {},
};
static const JsonType image_type = JSON_TYPE(FailedImage, image_fields);

static const JsonField fields[] = {
    { JSON_LIST_FIELD(FailedImages, items, "failed", &image_type) },
    { JSON_REST_FIELD(FailedImages, rest) },
    {},
};
static const JsonType type = JSON_TYPE(FailedImages, fields);

void failed_load(FailedImages *ret)
{
    if (state_load(FAILED_FILE, &type, ret, NULL) < 0)
        failed_done(ret);
}

void failed_done(FailedImages *f)
{
    json_done(&type, f);
}

static bool is_of(const FailedImage *image, const char *digest, const char *image_id)
{
    return (digest && str_equal(image->digest, digest)) || (image_id && str_equal(image->image_id, image_id));
}

static bool is_of_service(const FailedImage *image, const char *service)
{
    return !image->service || str_equal(image->service, service);
}

static unsigned times_of(const FailedImage *image)
{
    return image->times > 0 && image->times < 1000 ? image->times : 1;
}

static void remove_at(FailedImages *f, size_t at)
{
    json_list_remove(&image_type, f->items, &f->n_items, at);
}

int failed_add(const FailedImage *image, Error *err)
{
    _cleanup_(failed_done) FailedImages f = {};
    unsigned times = 1;
    FailedImage added;

    failed_load(&f);
    for (size_t i = f.n_items; i-- > 0;)
        if (is_of_service(&f.items[i], image->service) && is_of(&f.items[i], image->digest, image->image_id)) {
            times += times_of(&f.items[i]);
            remove_at(&f, i);
        }
    while (f.n_items >= FAILED_MAX)
        remove_at(&f, f.n_items - 1);
    if (!json_list_add(&image_type, &f.items, &f.n_items) || json_copy(&image_type, image, &f.items[f.n_items - 1]) < 0)
        return error_set(err, ENOMEM, "store.write", "no memory for the list of failed images");
    added = f.items[f.n_items - 1];
    added.times = times;
    memmove(f.items + 1, f.items, (f.n_items - 1) * sizeof(*f.items));
    f.items[0] = added;
    return state_save(FAILED_FILE, &type, &f, err);
}

const FailedImage *failed_find(const FailedImages *failed, const char *service, const char *digest,
                               const char *image_id)
{
    for (size_t i = 0; i < failed->n_items; i++) {
        const FailedImage *image = &failed->items[i];

        if (is_of_service(image, service) && is_of(image, digest, image_id))
            return str_equal(json_string(image->error, "id"), "confirm.deadline") &&
                           times_of(image) < FAILED_UNCONFIRMED_MAX
                       ? NULL
                       : image;
    }
    return NULL;
}

int failed_forget(const char *what, Error *err)
{
    _cleanup_(failed_done) FailedImages f = {};
    size_t before;

    failed_load(&f);
    before = f.n_items;
    for (size_t i = f.n_items; i-- > 0;)
        if (str_equal(what, "all") || is_of(&f.items[i], what, what))
            remove_at(&f, i);
    if (f.n_items < before)
        return state_save(FAILED_FILE, &type, &f, err);
    if (str_equal(what, "all"))
        return 0;
    return error_set(err, ENOENT, "update.unknown-digest",
                     "no image with the digest %.80s has failed here; `secboxctl updates` shows those that have", what);
}

cJSON *failed_to_json(const FailedImages *failed)
{
    return json_write_list(&image_type, failed->items, failed->n_items);
}
