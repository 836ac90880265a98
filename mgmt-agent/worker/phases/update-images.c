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
static int pin_image(DeployTarget *t, const Current *before, const ComposeService *s)
{
    const CurrentService *runs = current_find(before, s->name);
    const char *id = runs ? runs->image_id : NULL;
    char *copy = id ? strdup(id) : NULL;

    if (!id)
        return 0;
    if (copy && map_put(t->image_ids, s->name, copy) == 0)
        return 0;
    free(copy);
    return -ENOMEM;
}

static int set_image(DeployTarget *t, ImageUpdate *update, char *id)
{
    if (json_set(&update->image_id, id) < 0 || map_put(t->image_ids, update->service, id) < 0) {
        free(id);
        return -ENOMEM;
    }
    return 0;
}

static int resolve_updated(Podman *podman, DeployTarget *t, const ComposeService *s, ImageUpdate *update, Error *err)
{
    const char *reference = update->reference;
    _cleanup_(error_done) Error reason = {};
    char *id = NULL;
    int r = podman_image_id(podman, reference ? reference : s->image, &id, &reason);

    if (r == -ENOENT && update->undo)
        return error_set(
            err, ENOENT, "update.no-previous",
            "the image that service %s ran before is not on this box any more: push the compose file with the "
            "one that it is to have",
            update->service);
    if (r == -ENOENT && reference)
        return 0;
    if (r < 0)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    return set_image(t, update, id);
}

int update_resolve_images(Podman *podman, DeployTarget *t, const Current *before, Journal *j, Error *err)
{
    for (size_t i = 0; i < t->project->n_services; i++) {
        const ComposeService *s = &t->project->services[i];
        ImageUpdate *update = journal_find_update(j, s->name);
        int r = 0;

        if (!map_get(t->image_ids, s->name))
            r = update ? resolve_updated(podman, t, s, update, err) : pin_image(t, before, s);
        if (r < 0)
            return r;
    }
    return 0;
}

int update_pull(Podman *podman, usec_t timeout_usec, DeployTarget *t, Journal *j, Report *report, bool *ret_pulled,
                Error *err)
{
    *ret_pulled = false;
    for (size_t i = 0; i < j->n_updates; i++) {
        ImageUpdate *u = &j->updates[i];
        const ImageRequest pull = { u->service, u->reference, "missing", timeout_usec };
        char *id = NULL;
        int r;

        if (!u->reference || map_get(t->image_ids, u->service))
            continue;
        r = deploy_pull_image(podman, &pull, report, &id, err);
        if (r == 0)
            r = set_image(t, u, id);
        if (r < 0)
            return r;
        *ret_pulled = true;
    }
    return 0;
}

static void name_image(Podman *podman, const ImageUpdate *update, const char *id, Report *report)
{
    const char *image = update->image;
    size_t n = image ? image_repository_length(image) : 0;
    _cleanup_(freep) char *repository = image ? strndup(image, n) : NULL;
    _cleanup_(error_done) Error err = {};

    if (repository && id && podman_tag(podman, id, repository, image[n] == ':' ? image + n + 1 : "latest", &err) < 0)
        report_progress(report, "info", update->service, "could not let %s mean image %.12s: %s", image, id,
                        error_message(&err, -EIO));
}

void update_name_images(Podman *podman, const Journal *j, Report *report)
{
    for (size_t i = 0; i < j->n_updates; i++)
        if (j->updates[i].reference)
            name_image(podman, &j->updates[i], j->updates[i].image_id, report);
}

void update_name_back(Podman *podman, const Journal *j, Report *report)
{
    for (size_t i = 0; i < j->n_updates; i++)
        if (!j->updates[i].reference)
            name_image(podman, &j->updates[i], j->updates[i].old_image_id, report);
}
