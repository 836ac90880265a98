/* SPDX-License-Identifier: MIT */
/* Every image is here, by id, before any container stops; and it survives a power cut. */

#include "mgmt-agent/worker/phases/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/image-volumes.h"
#include "mgmt-agent/worker/phases/pull-image.h"
#include "mgmt-agent/worker/phases/update-images.h"

/* localhost/ is podman's name for what was built on this box: no registry has it. */
static bool is_local(const char *image)
{
    return str_starts(image, "localhost/");
}

/* 1 when it came, 0 when it is here. */
static int pull_one(Podman *podman, usec_t timeout_usec, DeployTarget *t, const ComposeService *s, Report *report,
                    Error *err)
{
    const char *policy = s->pull_policy ? s->pull_policy : "missing";
    const ImageRequest pull = { s->name, s->image, str_equal(policy, "always") ? "always" : "missing", timeout_usec };
    bool here = map_get(t->image_ids, s->name) != NULL;
    char *id = NULL;
    int r;

    if (is_local(s->image) || str_equal(policy, "never")) {
        if (here)
            return 0;
        return error_set_at(err, ENOENT, "image.missing", NULL, s->line, s->name,
                            "service %s needs image %s, which is not on this box and may not be pulled", s->name,
                            s->image);
    }
    if (here && !str_equal(policy, "always"))
        return 0;
    r = deploy_pull_image(podman, &pull, report, &id, err);
    if (r < 0)
        return r;
    if (map_put(t->image_ids, s->name, id) < 0) {
        free(id);
        return -ENOMEM;
    }
    return 1;
}

/* Podman returns before its layers are on disk; after a power cut the image would be there by name and hollow
 * (measured: every time without this, never with it). */
static int sync_store(Podman *podman, Error *err)
{
    _cleanup_(closep) int fd = -1;
    const char *store;
    int r = podman_graphroot(podman, &store, err);

    if (r < 0)
        return r;
    fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        return error_set(err, errno, "pull.sync", "cannot sync podman's store %s: %s", store, strerror(errno));
    return 0;
}

int deploy_pull(const PlanContext *p, Podman *podman, usec_t timeout_usec, Error *err)
{
    DeployTarget *t = p->target;
    bool pulled = false;
    int r = 0;

    if (p->order->only)
        r = update_pull(podman, timeout_usec, t, p->journal, p->report, &pulled, err);
    for (size_t i = 0; !p->order->only && i < t->project->n_services; i++) {
        r = pull_one(podman, timeout_usec, t, &t->project->services[i], p->report, err);
        if (r < 0)
            return r;
        pulled = pulled || r > 0;
    }
    if (r >= 0 && pulled)
        r = sync_store(podman, err);
    if (r >= 0)
        r = deploy_observe_and_plan(p, podman, err);
    if (r >= 0)
        deploy_tell_image_volumes(podman, t, *p->plan, p->report);
    return r;
}
