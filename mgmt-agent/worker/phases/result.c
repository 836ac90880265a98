/* SPDX-License-Identifier: MIT */
/* Both sides of a crash see the same result because it is stored before it is said. */

#include "mgmt-agent/worker/phases/result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/tunnel/message.h"
#include "mgmt-agent/state/change-guard.h"
#include "mgmt-agent/state/order-floors.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/update-failure.h"

#define RESULT_TRIES_MAX 3

/* First fitting row wins: an id or its prefix, or a phase. */
int deploy_status_for(const char *phase, const Error *err)
{
    static const struct {
        const char *phase;
        const char *id_prefix;
        int status;
    } rows[] = {
        { NULL, "snapshot.older-version", 409 },
        { NULL, "snapshot.too-large", 400 },
        { NULL, "snapshot.bad-", 400 },
        { NULL, "snapshot.", 422 },
        { NULL, "yaml.", 400 },
        { NULL, "compose.", 422 },
        { NULL, "preflight.no-space", 507 },
        { NULL, "preflight.", 422 },
        { NULL, "plan.", 422 },
        { NULL, "project.too-many", 409 },
        { NULL, "podman.no-", 503 },
        { NULL, "podman.unreachable", 503 },
        { NULL, "podman.timeout", 503 },
        { NULL, "compose-driver.", 503 },
        { NULL, "image.missing", 422 },
        { NULL, "render.", 422 },
        { NULL, "update.nothing-deployed", 404 },
        { NULL, "update.not-here", 404 },
        { NULL, "update.bad-digest", 400 },
        { NULL, "update.failed-before", 422 },
        { NULL, "update.pinned", 422 },
        { NULL, "update.pull-policy", 422 },
        { NULL, "update.locked", 423 },
        { NULL, "update.not-now", 503 },
        { NULL, "update.too-young", 503 },
        { "parse", "", 400 },
        { "policy", "", 422 },
        { "secbox-env-ensure", "", 503 },
        { "secbox-env-sanity", "", 422 },
        { "secbox-env-missing-keys", "", 422 },
        { "render", "", 422 },
        { NULL, "env.", 503 },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if ((!rows[i].phase || str_equal(rows[i].phase, phase)) && str_starts(error_id(err), rows[i].id_prefix))
            return rows[i].status;
    return 500;
}

static int add_service(cJSON *array, const char *name, const char *container, const char *action, const char *image,
                       const char *id)
{
    cJSON *o = cJSON_CreateObject();

    if (!o || json_append(array, o) < 0 || json_add_string(o, "name", name) < 0 ||
        json_add_string(o, "container", container) < 0 || json_add_string(o, "action", action) < 0 ||
        json_add_string(o, "image", image) < 0 || json_add_string(o, "id", id) < 0)
        return -ENOMEM;
    return 0;
}

static int add_planned(Podman *podman, const Plan *plan, const ComposeProject *target, cJSON *array)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->n_steps; i++) {
        const PlanStep *step = &plan->steps[i];
        const ComposeService *s = target ? compose_service_find(target, step->service) : NULL;
        _cleanup_(cJSON_Deletep) cJSON *info = NULL;

        if (step->action != PLAN_REMOVE && podman && podman_inspect(podman, step->container, &info, NULL) < 0)
            info = NULL;
        r = add_service(array, step->service, step->container, plan_action_to_string(step->action), s ? s->image : NULL,
                        json_string(info, "Id"));
    }
    return r;
}

static const JournalStep *step_of(const Journal *j, const char *service, bool removed)
{
    for (size_t i = 0; i < j->n_steps; i++)
        if (str_equal(j->steps[i].service, service) && str_equal(j->steps[i].action, "remove") == removed)
            return &j->steps[i];
    return NULL;
}

/* After a restart or a confirmation there is no plan in memory; the journal knows what was changed. */
static int add_journaled(const Journal *j, cJSON *array)
{
    int r = 0;

    for (size_t i = 0; r == 0 && j->project && i < j->project->n_services; i++) {
        const CurrentService *s = &j->project->services[i];
        const JournalStep *step = step_of(j, s->name, false);

        r = add_service(array, s->name, s->container, step ? step->action : "keep", s->image, s->id);
    }
    for (size_t i = 0; r == 0 && i < j->n_steps; i++)
        if (!j->project || str_equal(j->steps[i].action, "remove"))
            r = add_service(array, j->steps[i].service, j->steps[i].container, j->steps[i].action, NULL, NULL);
    return r;
}

static int add_services(const Deploy *d, cJSON *m)
{
    cJSON *array = cJSON_CreateArray();
    int r = json_add_item(m, "services", array);

    if (r < 0)
        return r;
    /* once it is proved, the journal knows the containers too; before, and after a rollback, podman does */
    return d->plan && d->journal.state != DEPLOY_COMMITTING
               ? add_planned(d->box.podman, d->plan, d->target.project, array)
               : add_journaled(&d->journal, array);
}

/* From the snapshot's acceptance on, over restarts and reboots: hence the wall clock, which may have been stepped. */
static int seconds_taken(const Journal *j)
{
    usec_t now = realtime_usec(), begun = j->started_realtime;

    return begun > 0 && now > begun ? (int) ((now - begun) / USEC_PER_SEC) : 0;
}

/* With the last lines of the container that was not proved, for a reader who sees the result and not the progress. */
static cJSON *failure_to_json(const Journal *j, const DeployProof *proof, const Error *failure, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *o = safe_error_json(failure, r);
    const char *kept = j->failure ? j->failure->log : NULL, *p = kept ? kept : proof->failed_log;
    cJSON *lines = o && !str_empty(p) ? cJSON_CreateArray() : NULL;

    if (!lines)
        return TAKE_PTR(o);
    if (json_add_item(o, "log", lines) < 0)
        return NULL;
    while (*p) {
        size_t n = strcspn(p, "\n");
        _cleanup_(freep) char *line = strndup(p, n);

        if (!line || json_append(lines, cJSON_CreateString(line)) < 0)
            return NULL;
        p += n + (p[n] == '\n');
    }
    return TAKE_PTR(o);
}

static cJSON *build_result(const Deploy *d, const char *outcome, int status, const Error *failure, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.result");
    bool failed = str_equal(outcome, "failed");
    char at[TIMESTAMP_SIZE];

    if (!m || json_add_string(m, "id", d->report.id) < 0 || json_add_string(m, "kind", d->journal.kind) < 0 ||
        json_add_string(m, "version", d->report.version) < 0 || json_add_int(m, "status", status) < 0 ||
        json_add_string(m, "phase", failed ? d->report.phase : outcome) < 0 ||
        json_add_string(m, "outcome", outcome) < 0 || json_add_string(m, "sha256", d->order.sha256) < 0 ||
        json_add_string(m, "failedPhase", failure ? d->report.phase : NULL) < 0 ||
        (failure && json_add_item(m, "error", failure_to_json(&d->journal, &d->proof, failure, r)) < 0) ||
        json_add_string(m, "takenBackBy", d->journal.taken_back_by) < 0 ||
        json_add_int(m, "seconds", seconds_taken(&d->journal)) < 0 ||
        json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0 || add_services(d, m) < 0)
        return NULL;
    if (!project_is_own() && json_add_string(m, "project", project_selected()) < 0)
        return NULL;
    if (str_equal(outcome, "done") && json_add_bool(m, "noop", d->plan && d->plan->n_changes == 0) < 0)
        return NULL;
    if (d->order.from_cloud && order_floors_describe(m) < 0)
        return NULL;
    if (d->journal.updates && json_add_item(m, "updates", journal_updates_to_json(&d->journal)) < 0)
        return NULL;
    return TAKE_PTR(m);
}

/* Everybody waits for it: what there was no memory for may have some now. */
static cJSON *make_result(const Deploy *d, const char *outcome, int status, const Error *failure, int r)
{
    cJSON *m = NULL;

    for (int tries = 0; !m && tries < RESULT_TRIES_MAX; tries++)
        m = build_result(d, outcome, status, failure, r);
    return m;
}

void deploy_answer(Deploy *d, const char *outcome, int status, const Error *failure, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = make_result(d, outcome, status, failure, r);

    if (m)
        report_emit(m);
}

int deploy_finish(Deploy *d, const char *outcome, int status, const Error *failure, int r, DeployEvent last)
{
    _cleanup_(cJSON_Deletep) cJSON *m = make_result(d, outcome, status, failure, r);
    _cleanup_(error_done) Error err = {};
    int stored = m ? 0 : -ENOMEM;

    if (stored == 0 && d->order.from_cloud)
        stored = store_save_unacked(m, &err);
    if (stored == 0 && !update_is_put_off(&d->journal, d->order.from_cloud, failure))
        stored = store_add_history(m, &err);
    if (stored < 0) /* a full disk must not keep the answer from the cloud */
        log_failure(LOG_LEVEL_WARNING, NULL, &err, stored, "Cannot store the result, sending it all the same");
    error_done(&err);
    if (!str_equal(outcome, "done") && !str_equal(outcome, "failed"))
        update_note_failure(&d->journal);
    stored = journal_step(&d->journal, last, &err);
    if (stored < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, stored,
                    "Cannot close the journal; the next start repeats the last step");
    else if ((stored = change_mark_clear(&err)) < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, stored,
                    "Cannot dismiss the guard of this change, which finds it over");
    if (m)
        report_emit(m);
    return str_equal(outcome, "done") ? 0 : 1;
}
