/* SPDX-License-Identifier: MIT */
/* Removes the images that we have pulled and that nothing needs any more. Best effort: what is left over is tried again at
 * the end of the next change. */
#include "mgmt-agent/worker/phases/image-sweep.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/pulled-images.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/worker/phases/deploy.h"
#include "mgmt-agent/worker/podman/podman-answer.h"

static int add(char ***keep, const char *id)
{
    return !id || strv_contains(*keep, id) ? 0 : strv_add(keep, id);
}

void deploy_note_pulled(const cJSON *before, const char *image_id, const char *reference)
{
    _cleanup_(pulled_done) PulledImages pulled = {};
    _cleanup_(error_done) Error err = {};
    const cJSON *image;
    int r;

    if (!before || !image_id)
        return;
    cJSON_ArrayForEach(image, before)
        if (str_equal(json_string(image, "Id"), image_id))
            return;
    r = pulled_load(&pulled);
    if (r == 0)
        r = pulled_add_image(&pulled, image_id, reference);
    if (r == 0)
        r = pulled_save(&pulled, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                    "Cannot remember that image %.12s was pulled, it will not be removed", image_id);
}

int deploy_keep_snapshot_images(char ***keep)
{
    _cleanup_(pulled_done) PulledImages pulled = {};
    const cJSON *ids, *id;
    int r = pulled_load(&pulled);

    cJSON_ArrayForEach(ids, pulled.snapshots)
        cJSON_ArrayForEach(id, ids)
            if (r == 0)
                r = add(keep, cJSON_GetStringValue(id));
    return r;
}

void deploy_note_snapshots(const Current *before, const Current *now)
{
    _cleanup_(pulled_done) PulledImages pulled = {};
    _cleanup_(error_done) Error err = {};
    const Current *lists[] = { before, now };
    int r = pulled_load(&pulled);
    cJSON *next;

    for (size_t i = 0; r == 0 && i < ELEMENTSOF(lists); i++)
        if (lists[i] && lists[i]->version)
            r = pulled_note_snapshot(&pulled, lists[i]);
    for (cJSON *s = pulled.snapshots ? pulled.snapshots->child : NULL; r == 0 && s; s = next) {
        _cleanup_(cJSON_Deletep) cJSON *snapshot = NULL;

        next = s->next;
        if (store_load_snapshot(s->string, &snapshot, NULL) == -ENOENT)
            cJSON_Delete(cJSON_DetachItemViaPointer(pulled.snapshots, s));
    }
    if (r == 0)
        r = pulled_save(&pulled, &err);
    if (r == 0)
        return;
    log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                "Cannot remember which images snapshot %s runs with, so that none of those "
                "pulled so far will be removed",
                now->version);
    pulled_forget();
}

void deploy_forget_snapshots(void)
{
    _cleanup_(pulled_done) PulledImages pulled = {};
    _cleanup_(error_done) Error err = {};

    if (pulled_load(&pulled) < 0)
        return;
    cJSON_Delete(pulled.snapshots);
    pulled.snapshots = cJSON_CreateObject();
    if (!pulled.snapshots || pulled_save(&pulled, &err) < 0)
        log_warning("Cannot forget which images a project ran with, so that they stay: %s", error_message(&err, -EIO));
}

/* By the project that is looked at: what was deployed last, and what a rollback may return to. */
static int find_remembered(char ***keep)
{
    _cleanup_(current_freep) Current *current = NULL;
    int r = current_load(&current, NULL);

    for (size_t i = 0; r == 0 && current && i < current->n_services; i++) {
        r = add(keep, current->services[i].image_id);
        if (r == 0)
            r = add(keep, current->services[i].previous_image_id);
    }
    return r == 0 ? deploy_keep_snapshot_images(keep) : r;
}

/* What is wanted by what runs, by the last good one of each service, by a snapshot to return to, by any container. */
static int find_needed(Podman *podman, const char *project, char ***keep)
{
    _cleanup_(strv_freep) char **others = NULL;
    ObservedContainer *containers = NULL;
    size_t n = 0;
    int r = podman_list(podman, project, &containers, &n, NULL);

    for (size_t i = 0; r == 0 && i < n; i++)
        r = add(keep, containers[i].image_id);
    observed_free_all(containers, n);
    if (r == 0)
        r = project_list(&others);
    for (size_t i = 0; r == 0 && i <= strv_length(others); i++) {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(i == 0 ? NULL : others[i - 1]);

        r = find_remembered(keep);
    }
    return r;
}

static int find_new(const NewImages *new, char ***keep)
{
    void *id;
    int r = 0;

    for (size_t i = 0; r == 0 && new->journal &&i < new->journal->n_updates; i++)
        r = add(keep, new->journal->updates[i].image_id);
    for (size_t i = 0; r == 0 && new->ids &&map_next(new->ids, &i, NULL, &id);)
        r = add(keep, id);
    return r;
}

static const cJSON *find_image(const cJSON *images, const char *id)
{
    const cJSON *image;

    cJSON_ArrayForEach(image, images)
        if (str_equal(json_string(image, "Id"), id))
            return image;
    return NULL;
}

/* True when it need not be remembered any longer. */
static bool sweep_one(Podman *podman, const cJSON *image, const char *id, const char *reference)
{
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(image, "RepoTags"), *name;

    if (!image)
        return true;
    if (!pulled_is_nameless(names, reference, KEEP_REPOSITORY)) /* somebody has named it by hand */
        return false;
    cJSON_ArrayForEach(name, names)
        if (cJSON_IsString(name))
            podman_remove_image(podman, name->valuestring);
    podman_remove_image(podman, id);
    return false; /* whether it is gone is seen the next time */
}

void deploy_sweep_images(Podman *podman, const char *project, const NewImages *kept)
{
    _cleanup_(pulled_done) PulledImages pulled = {};
    _cleanup_(cJSON_Deletep) cJSON *images = NULL;
    _cleanup_(strv_freep) char **keep = NULL;
    _cleanup_(error_done) Error err = {};
    size_t before;

    if (!podman || pulled_load(&pulled) < 0 || pulled.n_images == 0 || find_needed(podman, project, &keep) < 0 ||
        (kept && find_new(kept, &keep) < 0) || podman_images(podman, &images, NULL) < 0)
        return;
    before = pulled.n_images;
    for (size_t i = before; i-- > 0;) {
        const PulledImage *p = &pulled.images[i];
        bool needed = p->image_id && strv_contains(keep, p->image_id);

        if (!needed && (!p->image_id || sweep_one(podman, find_image(images, p->image_id), p->image_id, p->reference)))
            pulled_remove_image(&pulled, i);
    }
    if (pulled.n_images < before && pulled_save(&pulled, &err) < 0)
        log_warning("Cannot write down which images were removed: %s", error_message(&err, -EIO));
}
