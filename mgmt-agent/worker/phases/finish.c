/* SPDX-License-Identifier: MIT */
/* The two ways out of a change. Every step can be repeated: a worker that was killed here is followed by one that starts
 * again from the journal. */

#include "mgmt-agent/worker/phases/finish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/reserve.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/worker/phases/bind-alarms.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/by-hand-file.h"
#include "mgmt-agent/worker/phases/image-sweep.h"
#include "mgmt-agent/worker/phases/preflight.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/podman/podman-create.h"
#include "mgmt-agent/worker/phases/stage.h"
#include "mgmt-agent/worker/phases/start-container.h"
#include "mgmt-agent/worker/phases/update-failure.h"
#include "mgmt-agent/worker/phases/update-images.h"

#define STOP_GRACE_SECONDS 10

static int keep_image(Podman *podman, const char *id, Report *report, char ***keep)
{
    _cleanup_(error_done) Error err = {};
    char tag[33];

    if (!id || strlen(id) < 32)
        return 0;
    snprintf(tag, sizeof(tag), "%.32s", id);
    if (strv_contains(*keep, tag))
        return 0;
    if (strv_add(keep, tag) < 0)
        return -ENOMEM;
    if (podman_tag(podman, id, KEEP_REPOSITORY, tag, &err) < 0)
        report_progress(report, "info", NULL, "could not tag image %.12s to keep it: %s", id,
                        error_message(&err, -EIO));
    return 0;
}

/* Images that containers need in order to come back: those that run now, those of the deployment before, and of each service
 * the last one that was good before its present one. */
static int keep_images(Podman *podman, const Current *current, const Current *before, Report *report, char ***keep)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < current->n_services; i++) {
        r = keep_image(podman, current->services[i].image_id, report, keep);
        if (r == 0)
            r = keep_image(podman, current->services[i].previous_image_id, report, keep);
    }
    for (size_t i = 0; r == 0 && before && i < before->n_services; i++)
        r = keep_image(podman, before->services[i].image_id, report, keep);
    return r;
}

/* Those that a rollback may return to. */
static int keep_of_snapshots(Podman *podman, Report *report, char ***keep)
{
    _cleanup_(strv_freep) char **ids = NULL;
    int r = deploy_keep_snapshot_images(&ids);

    for (char *const *id = ids; r == 0 && id && *id; id++) {
        _cleanup_(freep) char *here = NULL;

        if (podman_image_id(podman, *id, &here, NULL) == 0)
            r = keep_image(podman, *id, report, keep);
    }
    return r;
}

/* What the projects beside this one keep stays. */
static int keep_of_others(Podman *podman, Report *report, char ***keep)
{
    _cleanup_(strv_freep) char **names = NULL;
    int r = project_list(&names);

    for (size_t i = 0; r == 0 && i <= strv_length(names); i++) {
        const char *name = i == 0 ? project_own() : names[i - 1];
        _cleanup_(current_freep) Current *current = NULL;

        if (str_equal(name, project_selected()))
            continue;
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(name);
        r = current_load(&current, NULL);
        if (r == 0 && current)
            r = keep_images(podman, current, NULL, report, keep);
        if (r == 0)
            r = keep_of_snapshots(podman, report, keep);
    }
    return r;
}

static void remove_backups(Podman *podman, const Journal *j, Report *report)
{
    /* from the last: podman keeps a container in whose network another one lives, and that one came later */
    for (size_t i = j->n_steps; i-- > 0;) {
        const JournalStep *s = &j->steps[i];
        _cleanup_(error_done) Error err = {};

        /* by id: its name may have been given to another meanwhile */
        if (s->old_id && podman_remove(podman, s->old_id, &err) < 0)
            report_progress(report, "info", s->service,
                            "could not remove the old container %.12s (%s); do: podman rm %.12s", s->old_id,
                            error_message(&err, -EIO), s->old_id);
    }
}

/* Or what is told of the box from here on would be what ran before. */
static int save_current(const Current *now, Error *err)
{
    int r = current_save(now, err);

    if ((r != -ENOSPC && r != -EDQUOT) || reserve_release() < 0)
        return r;
    error_done(err);
    return current_save(now, err);
}

int deploy_commit(Deploy *d, Error *err)
{
    _cleanup_(strv_freep) char **keep = NULL;
    const Current *now = d->journal.project;
    bool repeated;
    int r, others;

    /* after a restart there is no project in memory: what becomes current was journaled when it was proved */
    if (!now)
        return error_set(err, EINVAL, "journal.corrupt", "the journal does not say what was proved");
    if (!d->before.current)
        deploy_load_current(&d->before, &d->report);
    /* a crash behind current_save(): what was before is known no more, so nothing of it is given up */
    repeated = d->before.current && str_equal(d->before.current->id, now->id);
    r = keep_images(d->box.podman, now, d->before.current, &d->report, &keep);
    if (r == 0)
        r = keep_of_snapshots(d->box.podman, &d->report, &keep);
    others = keep_of_others(d->box.podman, &d->report, &keep);
    if (r == 0)
        r = save_current(now, err);
    if (r == 0)
        r = project_note_stopped(false, err);
    if (r < 0)
        return r;
    update_name_images(d->box.podman, &d->journal, &d->report);
    update_note_undone(&d->journal);
    remove_backups(d->box.podman, &d->journal, &d->report);
    /* a stale network would be taken for the same one when its name comes back with another definition */
    podman_remove_networks(d->box.podman, now->name, now->networks);
    if (!repeated && others == 0) /* one whose state cannot be read may need any of them */
        podman_drop_others(d->box.podman, KEEP_REPOSITORY, keep);
    store_prune_snapshots(now->version, now->previous);
    d->target.bundle = kept_bundle_free(d->target.bundle);
    bundle_store_sweep();
    deploy_note_snapshots(d->before.current, now);
    deploy_sweep_images(d->box.podman, project_selected(), NULL);
    deploy_keep_by_hand(&d->report, now->name);
    deploy_review_binds(&d->box, &d->report);
    deploy_unstage(&d->report);
    return 0;
}

/* What the deployment made under the wanted name, if it came so far: a new string in *ret, else NULL. Never an old one. */
static int find_new(Podman *podman, const Journal *j, const JournalStep *s, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(error_done) Error reason = {};
    const char *id;
    int r;

    *ret = NULL;
    if (str_equal(s->action, "remove"))
        return 0;
    r = podman_inspect(podman, s->container, &info, &reason);
    if (r == -ENOENT) /* its store may have the name all the same, of a creation that was killed */
        return podman_free_name(podman, s->container, err);
    if (r < 0)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    id = json_string(info, "Id");
    for (size_t i = 0; id && i < j->n_steps; i++)
        if (str_equal(j->steps[i].old_id, id))
            return 0;
    *ret = id ? strdup(id) : NULL;
    return *ret ? 0 : -ENOMEM;
}

/* Keeps the first of several failures, which is the one that is told in the end. */
static void note_failure(const JournalStep *s, const Error *reason, int r, Report *report, int *first, Error *err)
{
    if (r >= 0)
        return;
    report_progress(report, "info", s->service, "cannot undo the change of %s: %s", s->service,
                    error_message(reason, r));
    if (*first == 0)
        *first = error_set(err, r, error_id(reason), "%s", error_message(reason, r));
}

/* Stopped first, with time to close its files: the old one is about to use the same volumes. */
static int remove_new(Podman *podman, const Journal *j, Report *report, Error *err)
{
    const size_t n_steps = j->n_steps;
    _cleanup_(freep) StopRequest *stops = calloc(n_steps + 1, sizeof(*stops));
    _cleanup_(freep) const JournalStep **steps = calloc(n_steps + 1, sizeof(*steps));
    _cleanup_(error_done) Error slow = {};
    size_t n = 0;
    int first = 0;

    if (!stops || !steps)
        return -ENOMEM;
    for (size_t i = 0; i < n_steps; i++) {
        _cleanup_(error_done) Error reason = {};
        char *id = NULL;

        note_failure(&j->steps[i], &reason, find_new(podman, j, &j->steps[i], &id, &reason), report, &first, err);
        steps[n] = &j->steps[i];
        if (id)
            stops[n++] = (StopRequest) { id, STOP_GRACE_SECONDS };
    }
    /* one that does not stop is ended by its removal */
    if (n > 0 && podman_stop_all(podman, stops, n, &slow) < 0)
        report_progress(report, "info", NULL, "stopping the new containers: %s", error_message(&slow, -EIO));
    for (size_t i = n; i-- > 0;) {
        _cleanup_(error_done) Error reason = {};

        note_failure(steps[i], &reason, podman_remove(podman, stops[i].id, &reason), report, &first, err);
        free((char *) stops[i].id);
    }
    return first;
}

/* Those that the deployment was about to stop when it ended: podman starts none before that is done. One that does not stop is
 * told by its start. */
static void finish_stops(Podman *podman, const Journal *j, Report *report)
{
    const size_t n_steps = j->n_steps;
    _cleanup_(freep) StopRequest *stops = calloc(n_steps + 1, sizeof(*stops));
    _cleanup_(freep) cJSON **infos = calloc(n_steps + 1, sizeof(*infos));
    _cleanup_(error_done) Error slow = {};
    size_t n = 0;

    for (size_t i = 0; stops && infos && i < n_steps; i++) {
        const JournalStep *s = &j->steps[i];

        if (!s->old_id || podman_inspect(podman, s->old_id, &infos[i], NULL) < 0 ||
            !podman_answer_stopping(infos[i], &stops[n]))
            continue;
        report_progress(report, "info", s->service, "%s is being stopped: waiting for its end, at most %u s",
                        s->old_name, stops[n++].grace_seconds);
    }
    if (n > 0 && podman_stop_all(podman, stops, n, &slow) < 0)
        report_progress(report, "info", NULL, "stopping the old containers: %s", error_message(&slow, -EIO));
    for (size_t i = 0; infos && i < n_steps; i++)
        cJSON_Delete(infos[i]);
}

static const char *status_of(const cJSON *info)
{
    return json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status");
}

static int bring_back(Deploy *d, const JournalStep *s, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    const char *name;
    int r;

    if (!s->old_id)
        return 0;
    r = podman_inspect(d->box.podman, s->old_id, &info, err);
    if (r < 0)
        return r;
    name = json_string(info, "Name");
    if (!str_equal(name, s->old_name)) {
        r = podman_rename(d->box.podman, s->old_id, s->old_name, err);
        if (r < 0)
            return r;
    }
    /* one that somebody has paused, and that was not reached, is as it was; podman would not start it */
    if (!s->was_running || str_equal(status_of(info), "paused"))
        return 0;
    r = deploy_may_start(&d->box, project_selected(), s->service, info, err);
    return r == 0 ? box_start_container(&d->box, s->old_id, s->service, &d->report, err) : r;
}

static int check_back(Deploy *d, const JournalStep *s, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    const char *status;
    int r;

    if (!s->old_id || !s->was_running)
        return 0;
    r = podman_inspect(d->box.podman, s->old_id, &info, err);
    if (r < 0)
        return r;
    status = status_of(info);
    if (!str_equal(status, "running") && !str_equal(status, "paused"))
        return error_set(err, EIO, "rollback.not-running", "the old container %.12s of service %s is %s, not running",
                         s->old_id, s->service, status ? status : "unknown");
    return 0;
}

/* All of them, whatever becomes of one: the service that cannot come back must not keep those away that can, least of all
 * the one that holds the tunnel. */
static int each_step(Deploy *d, int (*undo)(Deploy *d, const JournalStep *s, Error *err), Error *err)
{
    int first = 0;

    for (size_t i = 0; i < d->journal.n_steps; i++) {
        _cleanup_(error_done) Error reason = {};

        note_failure(&d->journal.steps[i], &reason, undo(d, &d->journal.steps[i], &reason), &d->report, &first, err);
    }
    return first;
}

/* Those that the deployment made; without knowing what is committed none is touched. */
static void remove_new_networks(Podman *podman, const char *project)
{
    _cleanup_(current_freep) Current *current = NULL;

    if (current_load(&current, NULL) == 0)
        podman_remove_networks(podman, project, current ? current->networks : NULL);
}

int deploy_roll_back(Deploy *d, Error *err)
{
    const NewImages new = { &d->journal, d->target.image_ids };
    int removed, back, r;

    report_phase(&d->report, "rolling-back");
    removed = remove_new(d->box.podman, &d->journal, &d->report, err);
    finish_stops(d->box.podman, &d->journal, &d->report);
    back = each_step(d, bring_back, err);
    r = removed < 0 ? removed : back < 0 ? back : each_step(d, check_back, err);
    if (r == 0) {
        remove_new_networks(d->box.podman, project_selected());
        current_note_processes(d->box.podman);
        update_name_back(d->box.podman, &d->journal, &d->report);
        deploy_sweep_images(d->box.podman, project_selected(), update_is_to_blame(&d->journal) ? NULL : &new);
        deploy_drop_by_hand(project_selected());
        deploy_review_binds(&d->box, &d->report);
        deploy_unstage(&d->report);
    }
    return r < 0 ? error_prefix(err, r, "rolling back") : 0;
}
