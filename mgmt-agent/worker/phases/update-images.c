/* SPDX-License-Identifier: MIT */
/* The images of a change that is limited to some services. */

#include "mgmt-agent/worker/phases/update-images.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/image-ref.h"
#include "mgmt-agent/worker/phases/pull-image.h"
#include "mgmt-agent/worker/phases/report.h"

/* The image that a service of a limited deployment runs now; it need not be what the image's name means by now. */
static int pin_image(Deploy *d, const ComposeService *s, bool *ret_missing)
{
    const CurrentService *runs = current_find(d->before.current, s->name);
    const char *id = runs ? runs->image_id : NULL;
    char *copy = id ? strdup(id) : NULL;

    *ret_missing = !id;
    if (!id)
        return 0;
    if (copy && map_put(d->target.image_ids, s->name, copy) == 0)
        return 0;
    free(copy);
    return -ENOMEM;
}

static int set_image(Deploy *d, ImageUpdate *update, char *id)
{
    if (json_set(&update->image_id, id) < 0 || map_put(d->target.image_ids, update->service, id) < 0) {
        free(id);
        return -ENOMEM;
    }
    return 0;
}

static int resolve_updated(Deploy *d, const ComposeService *s, ImageUpdate *update, bool *ret_missing, Error *err)
{
    const char *reference = update->reference;
    _cleanup_(error_done) Error reason = {};
    char *id = NULL;
    int r = podman_image_id(d->box.podman, reference ? reference : s->image, &id, &reason);

    *ret_missing = r == -ENOENT;
    if (r == -ENOENT && reference)
        return 0;
    if (r < 0)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    return set_image(d, update, id);
}

int update_resolve_images(Deploy *d, size_t *ret_missing, Error *err)
{
    size_t missing = 0;

    for (size_t i = 0; i < d->target.project->n_services; i++) {
        const ComposeService *s = &d->target.project->services[i];
        ImageUpdate *update = journal_find_update(&d->journal, s->name);
        bool is_missing = false;
        int r = 0;

        if (!map_get(d->target.image_ids, s->name))
            r = update ? resolve_updated(d, s, update, &is_missing, err) : pin_image(d, s, &is_missing);
        if (r < 0)
            return r;
        missing += is_missing;
    }
    *ret_missing = missing;
    return 0;
}

int update_pull(Deploy *d, bool *ret_pulled, Error *err)
{
    *ret_pulled = false;
    for (size_t i = 0; i < d->journal.n_updates; i++) {
        ImageUpdate *u = &d->journal.updates[i];
        char *id = NULL;
        int r;

        if (!u->reference || map_get(d->target.image_ids, u->service))
            continue;
        r = deploy_pull_image(d, u->service, u->reference, "missing", &id, err);
        if (r == 0)
            r = set_image(d, u, id);
        if (r < 0)
            return r;
        *ret_pulled = true;
    }
    return 0;
}

static void name_image(Deploy *d, const ImageUpdate *update, const char *id)
{
    const char *image = update->image;
    size_t n = image ? image_repository_length(image) : 0;
    _cleanup_(freep) char *repository = image ? strndup(image, n) : NULL;
    _cleanup_(error_done) Error err = {};

    if (repository && id &&
        podman_tag(d->box.podman, id, repository, image[n] == ':' ? image + n + 1 : "latest", &err) < 0)
        report_progress(&d->report, "info", update->service, "could not let %s mean image %.12s: %s", image, id,
                        error_message(&err, -EIO));
}

void update_name_images(Deploy *d)
{
    for (size_t i = 0; i < d->journal.n_updates; i++)
        if (d->journal.updates[i].reference)
            name_image(d, &d->journal.updates[i], d->journal.updates[i].image_id);
}

void update_name_back(Deploy *d)
{
    for (size_t i = 0; i < d->journal.n_updates; i++)
        if (!d->journal.updates[i].reference)
            name_image(d, &d->journal.updates[i], d->journal.updates[i].old_image_id);
}
