/* SPDX-License-Identifier: MIT */
/* All of a project at once: stopped, started again, removed. Nothing of it is journaled: each step can be repeated, and what is
 * stopped is noted before its first container is, so that no boot starts half of it. */
#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/tunnel/message.h"
#include "mgmt-agent/state/bundle-store.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/phases/bind-alarms.h"
#include "mgmt-agent/worker/phases/by-hand-file.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/image-sweep.h"
#include "mgmt-agent/worker/phases/report.h"

#define GRACE_DEFAULT_SECONDS 10

static unsigned grace_of(const Deploy *d, const char *service)
{
    const ComposeService *s = d->before.project ? compose_service_find(d->before.project, service) : NULL;

    return s ? s->stop_grace_seconds : GRACE_DEFAULT_SECONDS;
}

/* Whatever carries the project's label: also what a push that was cut off has left under another name. */
static int stop_all(Deploy *d, Error *err)
{
    _cleanup_(freep) StopRequest *stops = calloc(d->before.n_observed + 1, sizeof(*stops));
    size_t n = 0;

    if (!stops)
        return -ENOMEM;
    for (size_t i = 0; i < d->before.n_observed; i++) {
        const ObservedContainer *c = &d->before.observed[i];

        if (c->service)
            stops[n++] = (StopRequest) { c->id, grace_of(d, c->service) };
    }
    return n > 0 ? podman_stop_all(d->box.podman, stops, n, err) : 0;
}

static int stop(Deploy *d, Error *err)
{
    int r = project_note_stopped(true, err);

    return r == 0 ? stop_all(d, err) : r;
}

static int start(Deploy *d, Error *err)
{
    int r = project_note_stopped(false, err);
    int failed = r == 0 ? start_containers(d, d->before.current, NULL, "") : 0;

    if (r == 0 && failed > 0)
        return error_set(err, EIO, "project.not-started",
                         "%d of its containers cannot be started: the log of mgmt-agent says why", failed);
    return r;
}

/* From the last: podman keeps a container in whose network another one lives. A second round takes what was in the way. */
static int remove_containers(Deploy *d, Error *err)
{
    int r = 0;

    for (unsigned round = 0; round < 2; round++) {
        r = 0;
        for (size_t i = d->before.n_observed; i-- > 0;) {
            _cleanup_(error_done) Error reason = {};
            const ObservedContainer *c = &d->before.observed[i];
            int k = c->service ? podman_remove(d->box.podman, c->id, &reason) : 0;

            if (k < 0 && r == 0) {
                error_done(err);
                r = error_copy(err, &reason) < 0 ? -ENOMEM : k;
            }
        }
        if (r == 0)
            return 0;
    }
    return r;
}

/* What was left to a person because of it is settled with it. */
static void end_recovery(void)
{
    _cleanup_(journal_done) Journal journal = {};
    _cleanup_(error_done) Error err = {};
    int r = journal_load(&journal, &err);

    if (r < 0 || journal.state != DEPLOY_RECOVERY || !journal_is_of_selected(&journal))
        return;
    journal.state = DEPLOY_IDLE;
    r = journal_save(&journal, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "The box is taken for one in recovery until the next push");
}

static int remove_all(Deploy *d, bool with_volumes, Error *err)
{
    int r = stop(d, err);

    if (r == 0)
        r = remove_containers(d, err);
    if (r < 0)
        return r;
    podman_remove_networks(d->box.podman, project_selected(), NULL);
    if (with_volumes)
        r = podman_remove_volumes(d->box.podman, project_selected(), err);
    if (r == 0)
        r = project_forget_deployed(err);
    if (r < 0)
        return r;
    deploy_forget_snapshots();
    deploy_sweep_images(d->box.podman, project_selected(), NULL);
    deploy_remove_by_hand(project_selected());
    bundle_store_sweep();
    project_sweep_removed();
    end_recovery();
    return 0;
}

/* One that is cut off in a restart is to run: it is not noted as stopped, and the next boot starts it. */
static int act(Deploy *d, const char *action, bool with_volumes, Error *err)
{
    int r = 0;

    if (str_equal(action, "remove"))
        return remove_all(d, with_volumes, err);
    if (!d->before.current)
        return error_set(err, ENOENT, "project.nothing", "nothing is deployed as project %s", project_selected());
    if (str_equal(action, "stop"))
        return stop(d, err);
    if (str_equal(action, "restart"))
        r = stop_all(d, err);
    return r == 0 ? start(d, err) : r;
}

/* What is to be removed need not be readable. */
static int open_all(Deploy *d, const char *action, Error *err)
{
    int r = current_load(&d->before.current, err);

    if (r < 0 && str_equal(action, "remove")) {
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "Removing project %s without knowing what it ran",
                    project_selected());
        error_done(err);
        r = 0;
    }
    d->before.project = current_to_project(d->before.current);
    if (r == 0)
        r = box_open_again(&d->box, d->options->podman_compose, err);
    return r == 0 ? podman_list(d->box.podman, project_selected(), &d->before.observed, &d->before.n_observed, err) : r;
}

static void note_history(const Deploy *d, const char *action, const Error *failure, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.result");
    _cleanup_(error_done) Error err = {};
    char at[TIMESTAMP_SIZE];
    int stored = -ENOMEM;

    if (m && json_add_string(m, "id", d->report.id) == 0 && json_add_string(m, "kind", action) == 0 &&
        json_add_string(m, "version", d->before.current ? d->before.current->version : "0") == 0 &&
        json_add_int(m, "status", r == 0 ? 200 : 500) == 0 &&
        json_add_string(m, "phase", r == 0 ? "done" : action) == 0 &&
        json_add_string(m, "outcome", r == 0 ? "done" : "failed") == 0 &&
        (r == 0 || json_add_item(m, "error", safe_error_json(failure, r)) == 0) &&
        json_add_string(m, "project", project_selected()) == 0 &&
        json_add_string(m, "at", timestamp_format(realtime_usec(), at)) == 0)
        stored = store_add_history(m, &err);
    if (stored < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, stored, "Cannot note in the history what became of project %s",
                    project_selected());
}

int job_project(Deploy *d, const cJSON *request)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("project.result");
    _cleanup_(error_done) Error err = {};
    const cJSON *message;
    int r = deploy_take_message(d, request, &message);
    const char *action = json_string(message, "action");

    d->report.phase = action ? action : "project";
    if (r == 0)
        r = open_all(d, action, &err);
    if (r == 0)
        r = act(d, action, json_bool(message, "volumes", false), &err);
    if (r == 0)
        current_note_processes(d->box.podman);
    deploy_review_binds(&d->box, &d->report);
    note_history(d, action ? action : "project", &err, r);
    if (m && json_add_string(m, "id", d->report.id) == 0 && json_add_string(m, "project", project_selected()) == 0 &&
        json_add_bool(m, "ok", r == 0) == 0 && (r == 0 || json_add_item(m, "error", safe_error_json(&err, r)) == 0))
        report_emit(m);
    return r == 0 ? 0 : 1;
}
