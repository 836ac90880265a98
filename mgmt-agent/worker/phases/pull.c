/* SPDX-License-Identifier: MIT */
/* Every image is here, by id, before any container stops; and it survives a power cut. */

#include "mgmt-agent/worker/phases/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/pull-mark.h"
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

/* Whether the service's image is asked for at its registry. */
static bool is_pulled(const DeployTarget *t, const ComposeService *s)
{
    bool here = map_get(t->image_ids, s->name) != NULL;

    return !is_local(s->image) && !str_equal(s->pull_policy, "never") && (!here || str_equal(s->pull_policy, "always"));
}

static int list_pulled(const PlanContext *p, char ***ret)
{
    const DeployTarget *t = p->target;
    const Journal *j = p->journal;
    int r = 0;

    for (size_t i = 0; r == 0 && p->order->only && i < j->n_updates; i++)
        if (j->updates[i].reference && !map_get(t->image_ids, j->updates[i].service))
            r = strv_add(ret, j->updates[i].reference);
    for (size_t i = 0; r == 0 && !p->order->only && i < t->project->n_services; i++)
        if (is_pulled(t, &t->project->services[i]))
            r = strv_add(ret, t->project->services[i].image);
    return r;
}

/* The power went while this image was pulled: what podman has of it may be hollow, and would be taken for whole each time. One that
 * a container runs, which podman keeps, or that has another name besides, was there before. */
static void take_away(Podman *podman, const char *reference, Map *image_ids, Report *report)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(freep) char *still = NULL;
    const char *id, *service;
    void *other;

    if (podman_inspect_image(podman, reference, &info, NULL) < 0 || !(id = json_string(info, "Id")) ||
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(info, "RepoTags")) > 1)
        return;
    podman_remove_image(podman, reference);
    if (podman_image_id(podman, id, &still, NULL) != -ENOENT)
        return;
    report_progress(report, "info", NULL, "the power went while %s was pulled: it is pulled anew", reference);
    for (size_t i = 0; map_next(image_ids, &i, &service, &other);)
        if (str_equal(other, id))
            map_remove(image_ids, service);
}

/* Whether the store has to be synced for what was pulled before. */
static bool look_at_mark(const PlanContext *p, Podman *podman)
{
    bool cut = false;
    _cleanup_(strv_freep) char **left = pull_mark_left(&cut);

    for (char **reference = left; cut && reference && *reference; reference++)
        take_away(podman, *reference, p->target->image_ids, p->report);
    return left != NULL;
}

static int pull_all(const PlanContext *p, Podman *podman, usec_t timeout_usec, bool *pulled, Error *err)
{
    DeployTarget *t = p->target;
    int r = 0;

    if (p->order->only)
        r = update_pull(podman, timeout_usec, t, p->journal, p->report, pulled, err);
    for (size_t i = 0; r == 0 && !p->order->only && i < t->project->n_services; i++) {
        r = pull_one(podman, timeout_usec, t, &t->project->services[i], p->report, err);
        *pulled = *pulled || r > 0;
        r = r < 0 ? r : 0;
    }
    return r;
}

int deploy_pull(const PlanContext *p, Podman *podman, usec_t timeout_usec, Error *err)
{
    DeployTarget *t = p->target;
    bool marked = look_at_mark(p, podman), pulled = false;
    _cleanup_(strv_freep) char **wanted = NULL;
    int r = list_pulled(p, &wanted);

    if (r == 0 && wanted)
        r = pull_mark_set(wanted, err);
    if (r == 0)
        r = pull_all(p, podman, timeout_usec, &pulled, err);
    /* what has come counts from then on, also where another one has not */
    if (marked || pulled || wanted) {
        int synced = sync_store(podman, r < 0 ? NULL : err);

        if (synced == 0)
            pull_mark_clear();
        r = r < 0 ? r : synced;
    }
    if (r >= 0)
        r = deploy_observe_and_plan(p, podman, err);
    if (r >= 0)
        deploy_tell_image_volumes(podman, t, *p->plan, p->report);
    return r;
}
