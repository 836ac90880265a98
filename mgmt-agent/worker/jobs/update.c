/* SPDX-License-Identifier: MIT */
/* What an update adds to the phases of a push. */

#include "mgmt-agent/worker/jobs/update.h"

#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/image-ref.h"
#include "mgmt-agent/state/failed-images.h"
#include "mgmt-agent/state/image-age.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/update-lock.h"
#include "mgmt-agent/state/watch-labels.h"
#include "mgmt-agent/worker/phases/check-file.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/flow.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/sequence.h"
#include "mgmt-agent/worker/phases/update-images.h"

static int check_digest(const char *digest, Error *err)
{
    if (image_digest_is_valid(digest))
        return 0;
    return error_set(err, EINVAL, "update.bad-digest",
                     "'%.80s' is no digest; it must be sha256: and 64 hexadecimal digits", digest ? digest : "");
}

static int check_pull_policy(const ImageUpdate *update, const char *pull_policy, Error *err)
{
    if (!str_equal(pull_policy, "never"))
        return 0;
    return error_set(err, EINVAL, "update.pull-policy",
                     "service %s has the pull_policy never, so only a push can change its image", update->service);
}

/* What is pulled: the repository that this box's own compose file names, at the digest. */
static int set_reference(ImageUpdate *update, const char *pull_policy, const char *digest, Error *err)
{
    int r;

    if (strchr(update->image, '@'))
        return error_set(err, EINVAL, "update.pinned",
                         "service %s names its image by digest (%.120s), so only a push can change it", update->service,
                         update->image);
    if (!digest)
        return 0;
    r = check_pull_policy(update, pull_policy, err);
    if (r == 0)
        r = check_digest(digest, err);
    if (r < 0)
        return r;
    update->reference = str_format("%.*s@%s", (int) image_repository_length(update->image), update->image, digest);
    return update->reference ? json_set(&update->digest, digest) : -ENOMEM;
}

static int add_update(Deploy *d, const CurrentService *s, const char *digest, usec_t seen_at, Error *err)
{
    ImageUpdate *update;

    if (!s->name || !s->image || journal_find_update(&d->journal, s->name))
        return 0;
    update = journal_add_update(&d->journal);
    if (!update || json_set(&update->service, s->name) < 0 || json_set(&update->image, s->image) < 0 ||
        json_set(&update->old_image_id, s->image_id) < 0)
        return -ENOMEM;
    update->seen_at = seen_at;
    return set_reference(update, s->pull_policy, digest, err);
}

/* All containers of one service have one image. */
static bool is_of_service(const CurrentService *s, const char *name)
{
    return name && (str_equal(s->name, name) || str_equal(s->replica_of, name));
}

/* The image of an order is the name in the compose file, or its repository. */
static bool is_ordered(const CurrentService *s, const char *name, const char *image)
{
    if (name && !is_of_service(s, name))
        return false;
    if (!image)
        return name != NULL;
    return s->image && (str_equal(s->image, image) || (strlen(image) == image_repository_length(s->image) &&
                                                       strncmp(s->image, image, strlen(image)) == 0));
}

static int take_ordered(Deploy *d, const cJSON *message, Error *err)
{
    const char *name = json_string(message, "service"), *image = json_string(message, "image");
    const char *digest = json_string(message, "digest");
    const Current *current = d->before.current;
    int r = check_digest(digest, err);

    for (size_t i = 0; r == 0 && i < current->n_services; i++)
        if (is_ordered(&current->services[i], name, image))
            r = add_update(d, &current->services[i], digest, 0, err);
    return r;
}

/* The last good image before the one that runs: it is kept for this, and for rollbacks. `named` is the service that is asked
 * about, whose containers `s` is one of. */
static int add_undo(Deploy *d, const CurrentService *s, const CurrentService *named, Error *err)
{
    ImageUpdate *update;
    int r = add_update(d, s, NULL, 0, err);

    if (r < 0)
        return r;
    if (!named->previous_image_id)
        return error_set(err, ENOENT, "update.no-previous", "service %s has run no other image on this box",
                         named->name);
    /* another release of it, or another program: its settings of now are not meant for that, nor is its name */
    if (!str_equal(named->previous_image, named->image))
        return error_set(err, ENOENT, "update.no-previous",
                         "service %s ran its image before this one under another name (%.120s; now it is %.120s): "
                         "`secboxctl rollback` goes back to the file before this one",
                         named->name, named->previous_image ? named->previous_image : "an older agent did not note it",
                         named->image);
    update = journal_find_update(&d->journal, s->name);
    if (!update)
        return 0;
    update->undo = true;
    return json_set(&update->reference, named->previous_image_id);
}

static int take_image(Deploy *d, const CurrentService *named, const cJSON *image, Error *err)
{
    const Current *current = d->before.current;
    const char *seen_at = json_string(image, "seenAt");
    usec_t at = 0;
    int r = 0;

    if (seen_at && timestamp_parse(seen_at, &at) < 0)
        at = 0;
    for (size_t i = 0; r == 0 && i < current->n_services; i++) {
        const CurrentService *s = &current->services[i];

        if (is_of_service(s, named->name))
            r = json_bool(image, "undo", false) ? add_undo(d, s, named, err)
                                                : add_update(d, s, json_string(image, "digest"), at, err);
    }
    return r;
}

static int take_found(Deploy *d, const cJSON *images, Error *err)
{
    const cJSON *image;
    int r = 0;

    cJSON_ArrayForEach(image, images) {
        const CurrentService *named = current_find(d->before.current, json_string(image, "service"));

        if (r == 0 && named)
            r = take_image(d, named, image, err);
    }
    return r;
}

static bool depends_on_changed(const WatchLabels *l, char *const *changed)
{
    for (char **name = l->depends_on; name && *name; name++)
        if (strv_contains(changed, *name))
            return true;
    return false;
}

/* The services whose label says that they depend on one that changes are made anew behind it, and so on from there. */
static int add_dependents(Deploy *d, Error *err)
{
    const Current *current = d->before.current;
    size_t before;

    do {
        before = strv_length(d->order.only);
        for (size_t i = 0; i < current->n_services; i++) {
            _cleanup_(watch_labels_done) WatchLabels l = {};
            const char *name = current->services[i].name;

            if (!name || strv_contains(d->order.only, name))
                continue;
            if (watch_labels_read(current->services[i].labels, &l) < 0)
                return error_set(err, ENOMEM, "update.failed", "no memory");
            if (depends_on_changed(&l, d->order.only) &&
                (strv_add(&d->order.only, name) < 0 || strv_add(&d->order.again, name) < 0))
                return error_set(err, ENOMEM, "update.failed", "no memory");
        }
    } while (strv_length(d->order.only) > before);
    return 0;
}

static int take_order(Deploy *d, const cJSON *request, const cJSON *message, Error *err)
{
    const cJSON *images = cJSON_GetObjectItemCaseSensitive(request, "images");
    int r = images ? take_found(d, images, err) : take_ordered(d, message, err);

    if (r == 0 && d->journal.n_updates == 0)
        r = error_set(err, ENOENT, "update.not-here", "no service of this box runs %.200s",
                      json_string(message, "image")     ? json_string(message, "image")
                      : json_string(message, "service") ? json_string(message, "service")
                                                        : "what is to be updated");
    for (size_t i = 0; r == 0 && i < d->journal.n_updates; i++)
        r = strv_add(&d->order.only, d->journal.updates[i].service);
    return r == 0 ? add_dependents(d, err) : r;
}

static int refuse_failed(const ImageUpdate *u, const FailedImage *before, Error *err)
{
    const char *what = u->digest ? u->digest : "this image", *message = json_string(before->error, "message");
    const char *noted = before->digest ? before->digest : before->image_id; /* what --forget finds it by */
    char at[TIMESTAMP_SIZE];

    timestamp_format(before->at, at);
    if (str_equal(json_string(before->error, "id"), "update.undone"))
        return error_set(err, EALREADY, "update.failed-before",
                         "%s of service %s was taken back by somebody on the box at %s; to let it come again: "
                         "secboxctl update --forget %s",
                         what, u->service, at, noted);
    return error_set(err, EALREADY, "update.failed-before",
                     "%s of service %s failed here at %s (%s); to try it again: secboxctl update --forget %s", what,
                     u->service, at, message ? message : "for a reason that is not known", noted);
}

/* What failed before is not tried again by itself, whoever asks, until somebody says that it should be. With an undo
 * somebody says so. */
static int check_failed(const Deploy *d, bool force, Error *err)
{
    _cleanup_(failed_done) FailedImages failed = {};

    if (force)
        return 0;
    failed_load(&failed);
    for (size_t i = 0; i < d->journal.n_updates; i++) {
        const ImageUpdate *u = &d->journal.updates[i];
        const FailedImage *before = u->undo ? NULL : failed_find(&failed, u->service, u->digest, u->image_id);

        if (before)
            return refuse_failed(u, before, err);
    }
    return 0;
}

static int check_lock(bool force, Error *err)
{
    _cleanup_(freep) char *holder = NULL;

    if (force || update_lock_read(&holder) == 0)
        return 0;
    return error_set(err, EBUSY, "update.locked",
                     "updates are held by %s; to let them go on: secboxctl update --unlock",
                     holder ? holder : "somebody");
}

/* Its labels order it as `depends_on` in the file would, unless that would go round in a circle. */
static bool depends_on(const ComposeProject *p, const ComposeService *s, const char *name, unsigned depth)
{
    for (char **on = s->depends_on; on && *on && depth < COMPOSE_SERVICES_MAX; on++) {
        const ComposeService *next = compose_service_find(p, *on);

        if (str_equal(*on, name) || (next && depends_on(p, next, name, depth + 1)))
            return true;
    }
    return false;
}

static int order_by_labels(Deploy *d, Error *err)
{
    for (size_t i = 0; i < d->target.project->n_services; i++) {
        ComposeService *s = &d->target.project->services[i];
        const CurrentService *runs = current_find(d->before.current, s->name);
        _cleanup_(watch_labels_done) WatchLabels l = {};

        if (watch_labels_read(runs ? runs->labels : NULL, &l) < 0)
            return error_set(err, ENOMEM, "update.failed", "no memory");
        for (char **name = l.depends_on; name && *name; name++) {
            const ComposeService *on = compose_service_find(d->target.project, *name);

            if (!on || on == s || strv_contains(s->depends_on, *name))
                continue;
            if (depends_on(d->target.project, on, s->name, 0))
                report_progress(&d->report, "info", s->name,
                                "its label says that it depends on %s, which depends on it; ignored", *name);
            else if (strv_add(&s->depends_on, *name) < 0)
                return error_set(err, ENOMEM, "update.failed", "no memory");
        }
    }
    return 0;
}

/* What secbox.env says now is for the next push: an image is not to be blamed for it. */
static int keep_environment(Deploy *d, Error *err)
{
    for (size_t i = 0; i < d->target.project->n_services; i++) {
        ComposeService *s = &d->target.project->services[i];
        const ComposeService *runs = compose_service_find(d->before.project, s->name);
        cJSON *environment;

        if (!runs || !runs->environment || cJSON_Compare(runs->environment, s->environment, true))
            continue;
        environment = cJSON_Duplicate(runs->environment, true);
        if (!environment)
            return error_set(err, ENOMEM, "update.failed", "no memory");
        cJSON_Delete(s->environment);
        s->environment = environment;
        report_progress(
            &d->report, "info", s->name,
            "its environment would be another one now; what secbox.env says since the last push waits for the next");
    }
    return 0;
}

/* An older agent did not keep it with what runs. */
static int check_pull_policies(const Deploy *d, Error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < d->journal.n_updates; i++) {
        const ImageUpdate *u = &d->journal.updates[i];
        const ComposeService *s = compose_service_find(d->target.project, u->service);

        r = s && u->digest ? check_pull_policy(u, s->pull_policy, err) : 0;
    }
    return r;
}

/* A service that is not in the compose file any more cannot be there: both come from the same snapshot. */
static int prepare(Deploy *d, const cJSON *request, const cJSON *message, Error *err)
{
    bool force = json_bool(request, "force", false);
    int r = deploy_verify_update(&d->order, &d->box, &d->report, message, err);

    if (r == 0)
        r = take_order(d, request, message, err);
    if (r == 0)
        r = check_lock(force, err);
    if (r == 0)
        r = check_failed(d, force, err);
    if (r == 0)
        r = phases_run(d, PHASE_PARSE, PHASE_RENDER, err);
    if (r == 0)
        r = check_pull_policies(d, err);
    if (r == 0)
        r = keep_environment(d, err);
    if (r == 0)
        r = order_by_labels(d, err);
    if (r == 0)
        r = phases_run(d, PHASE_PREFLIGHT, PHASE_PULL, err);
    if (r == 0) /* by now the ids are known, of those too that no registry gave */
        r = check_failed(d, force, err);
    return r;
}

/* The age that the image itself claims; where it claims none, since when this box has known of it. */
static int check_age(Deploy *d, const cJSON *request, Error *err)
{
    uint64_t cool_down = 0;
    int r = json_u64(request, "coolDownSeconds", &cool_down);

    if (r == -ENOENT || cool_down == 0)
        return 0;
    for (size_t i = 0; i < d->journal.n_updates; i++) {
        const ImageUpdate *u = &d->journal.updates[i];
        _cleanup_(cJSON_Deletep) cJSON *info = NULL;
        usec_t since, now = realtime_usec(), wait = cool_down * USEC_PER_SEC;

        r = u->image_id ? podman_inspect_image(d->box.podman, u->image_id, &info, err) : -ENOENT;
        if (r < 0)
            return r;
        since = image_made_at(info, now);
        if (since == 0)
            since = u->seen_at > 0 ? u->seen_at : now;
        if (since + wait > now)
            return error_set(err, EAGAIN, "update.too-young",
                             "the new image of service %s is %llu h old, and UPDATE_COOL_DOWN asks for %llu h",
                             u->service, (unsigned long long) ((now - since) / USEC_PER_HOUR),
                             (unsigned long long) (wait / USEC_PER_HOUR));
    }
    return 0;
}

int update_load_deployed(Deploy *d, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *snapshot = NULL;
    const char *version;
    int r = current_load(&d->before.current, err);

    if (r < 0)
        return r;
    version = d->before.current ? d->before.current->version : NULL;
    if (!version)
        return error_set(
            err, ENOENT, "update.nothing-deployed",
            "nothing was ever deployed on this box, so there is nothing to update; push a compose file first");
    r = store_load_snapshot(version, &snapshot, err);
    if (r < 0)
        return r;
    d->before.project = current_to_project(d->before.current);
    free(d->order.text);
    d->order.text = strdup(json_string(snapshot, "compose") ? json_string(snapshot, "compose") : "");
    d->order.sha256 = strdup(d->before.current->sha256 ? d->before.current->sha256 : "");
    r = deploy_take_bundle(&d->order, snapshot, err);
    return r < 0 ? r : d->order.text && d->order.sha256 && d->before.project ? 0 : -ENOMEM;
}

static int begin(Deploy *d, const cJSON *request, Error *err)
{
    int r = update_load_deployed(d, err);

    d->journal.kind = strdup(KIND_UPDATE);
    d->journal.by_connection = json_bool(request, "byConnection", false);
    d->journal.updates = calloc(1, sizeof(*d->journal.updates));
    if (!d->journal.kind || !d->journal.updates)
        return -ENOMEM;
    return r == 0 ? flow_begin(d, err) : r;
}

int job_update(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    const cJSON *message;
    int r = deploy_take_message(d, request, &message);

    d->report.phase = "verify";
    if (r == 0)
        r = begin(d, request, &err);
    if (r < 0)
        return flow_refuse(d, &err, r);
    r = prepare(d, request, message, &err);
    if (r == 0 && d->plan->n_changes > 0 && !json_bool(request, "force", false))
        r = check_age(d, request, &err);
    return r < 0 ? flow_fail_untouched(d, &err, r) : flow_change(d);
}
