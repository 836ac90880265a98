/* SPDX-License-Identifier: MIT */
/* The images of a change that is limited to some services. */

#include "mgmt-agent/worker/phases/update-images.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/image-ref.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/pull-image.h"
#include "mgmt-agent/worker/phases/report.h"

cJSON *update_item(const Deploy *d, const char *service)
{
    cJSON *item;

    cJSON_ArrayForEach(item, d->journal.updates)
        if (str_equal(json_string(item, "service"), service))
            return item;
    return NULL;
}

/* The image that a service of a limited deployment runs now; it need not be what the image's name means by now. */
static int pin_image(Deploy *d, const ComposeService *s, bool *ret_missing)
{
    const char *id = json_string(current_service(d->before.current, s->name), "imageId");
    char *copy = id ? strdup(id) : NULL;

    *ret_missing = !id;
    if (!id)
        return 0;
    if (copy && map_put(d->target.image_ids, s->name, copy) == 0)
        return 0;
    free(copy);
    return -ENOMEM;
}

static int set_image(Deploy *d, cJSON *item, const char *service, char *id)
{
    cJSON_DeleteItemFromObjectCaseSensitive(item, "imageId");
    if (json_add_string(item, "imageId", id) < 0 || map_put(d->target.image_ids, service, id) < 0) {
        free(id);
        return -ENOMEM;
    }
    return 0;
}

static int resolve_updated(Deploy *d, const ComposeService *s, cJSON *item, bool *ret_missing, Error *err)
{
    const char *reference = json_string(item, "reference");
    _cleanup_(error_done) Error reason = {};
    char *id = NULL;
    int r = podman_image_id(d->box.podman, reference ? reference : s->image, &id, &reason);

    *ret_missing = r == -ENOENT;
    if (r == -ENOENT && reference)
        return 0;
    if (r < 0)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    return set_image(d, item, s->name, id);
}

int update_resolve_images(Deploy *d, size_t *ret_missing, Error *err)
{
    size_t missing = 0;

    for (size_t i = 0; i < d->target.project->n_services; i++) {
        const ComposeService *s = &d->target.project->services[i];
        cJSON *item = update_item(d, s->name);
        bool is_missing = false;
        int r = 0;

        if (!map_get(d->target.image_ids, s->name))
            r = item ? resolve_updated(d, s, item, &is_missing, err) : pin_image(d, s, &is_missing);
        if (r < 0)
            return r;
        missing += is_missing;
    }
    *ret_missing = missing;
    return 0;
}

int update_pull(Deploy *d, bool *ret_pulled, Error *err)
{
    cJSON *item;

    *ret_pulled = false;
    cJSON_ArrayForEach(item, d->journal.updates) {
        const char *service = json_string(item, "service"), *reference = json_string(item, "reference");
        char *id = NULL;
        int r;

        if (!reference || map_get(d->target.image_ids, service))
            continue;
        r = deploy_pull_image(d, service, reference, "missing", &id, err);
        if (r == 0)
            r = set_image(d, item, service, id);
        if (r < 0)
            return r;
        *ret_pulled = true;
    }
    return 0;
}

static void name_image(Deploy *d, const cJSON *item, const char *id)
{
    const char *image = json_string(item, "image");
    size_t n = image ? image_repository_length(image) : 0;
    _cleanup_(freep) char *repository = image ? strndup(image, n) : NULL;
    _cleanup_(error_done) Error err = {};

    if (repository && id &&
        podman_tag(d->box.podman, id, repository, image[n] == ':' ? image + n + 1 : "latest", &err) < 0)
        report_progress(&d->report, "info", json_string(item, "service"), "could not let %s mean image %.12s: %s",
                        image, id, error_message(&err, -EIO));
}

void update_name_images(Deploy *d)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, d->journal.updates)
        if (json_string(item, "reference"))
            name_image(d, item, json_string(item, "imageId"));
}

void update_name_back(Deploy *d)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, d->journal.updates)
        if (!json_string(item, "reference"))
            name_image(d, item, json_string(item, "oldImageId"));
}
