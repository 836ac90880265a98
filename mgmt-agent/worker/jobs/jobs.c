/* SPDX-License-Identifier: MIT */
/* The jobs: which phases run in which order, and what their failure means. */

#include "mgmt-agent/worker/jobs/jobs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/tunnel/message.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/way-back.h"
#include "mgmt-agent/worker/jobs/update-check.h"
#include "mgmt-agent/worker/phases/flow.h"
#include "mgmt-agent/worker/phases/sequence.h"
#include "mgmt-agent/worker/jobs/inspect.h"
#include "mgmt-agent/worker/jobs/update.h"
#include "mgmt-agent/worker/phases/check-file.h"
#include "mgmt-agent/worker/phases/leftovers.h"
#include "mgmt-agent/worker/phases/plan-files.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/result.h"

#define SEQ_GAP 64

/* Everything before a container is touched. */
static int prepare(Deploy *d, const cJSON *message, Error *err)
{
    int r = deploy_verify(&d->order, &d->box, &d->report, message, err);

    return r == 0 ? phases_run(d, PHASE_PARSE, PHASE_PULL, err) : r;
}

static int job_apply(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    const cJSON *message;
    int r = deploy_take_message(d, request, &message);

    d->report.phase = "verify";
    d->order.goes_back = json_bool(request, "goesBack", false);
    if (r == 0 && d->order.goes_back) {
        d->journal.kind = strdup(KIND_ROLLBACK);
        r = d->journal.kind ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = flow_begin(d, &err);
    if (r < 0)
        return flow_refuse(d, &err, r);
    r = prepare(d, message, &err);
    if (r == 0)
        r = store_save_snapshot(d->report.version, message, &err);
    if (r < 0)
        return flow_fail_untouched(d, &err, r);
    d->journal.sha256 = strdup(d->order.sha256);
    return flow_change(d);
}

/* Brings what the journal says into memory; podman is asked by every job that follows. */
static int resume(Deploy *d, Error *err)
{
    int r = journal_load(&d->journal, err);

    if (r < 0)
        return r;
    (void) project_enter(d->journal.project_name);
    d->report.id = strdup(d->journal.id ? d->journal.id : "");
    d->report.version = strdup(d->journal.version ? d->journal.version : "0");
    d->order.sha256 = strdup(d->journal.sha256 ? d->journal.sha256 : "");
    d->order.nonce = d->journal.nonce ? strdup(d->journal.nonce) : NULL;
    d->order.from_cloud = !str_starts(d->report.version ? d->report.version : "", "local-");
    d->report.phase = deploy_state_to_string(d->journal.state);
    /* what the worker before told behind its last entry in the journal has numbers too */
    d->report.seq = d->journal.seq + SEQ_GAP;
    if (!d->report.id || !d->report.version || !d->order.sha256)
        return -ENOMEM;
    return 0;
}

/* Whoever waited for the lock finds what the one before has done. */
static bool is_over(const Journal *j)
{
    return j->state == DEPLOY_IDLE || j->state == DEPLOY_RECOVERY || j->state == DEPLOY_PREPARING;
}

/* Behind the reason of a failure. */
static const char *by_whom(const Deploy *d)
{
    return d->by_guard ? "; mgmt-agent did nothing about it, so mgmt-change-guard took it back" : "";
}

static int note_by_whom(Deploy *d, Error *err)
{
    return d->by_guard && json_set(&d->journal.taken_back_by, TAKEN_BACK_BY_GUARD) < 0
               ? error_set(err, ENOMEM, "journal.write", "no memory for the journal")
               : 0;
}

int job_commit(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    int r = resume(d, &err);

    (void) request;
    if (r == 0 && is_over(&d->journal))
        return 0;
    if (r == 0 && d->journal.state == DEPLOY_ROLLING_BACK) /* the confirmation came too late */
        return EXIT_TRY_AGAIN;
    if (r == 0 && d->journal.state == DEPLOY_CONFIRMING)
        r = journal_step(&d->journal, EVENT_CONFIRMED, &err);
    if (r == 0)
        r = box_open_again(&d->box, d->options->podman_compose, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot commit yet, trying again");
        return EXIT_TRY_AGAIN;
    }
    return flow_commit(d);
}

static const char *failure_phase(const JournalFailure *failure)
{
    static const char *const phases[] = { "apply", "prove", "confirm" };

    for (size_t i = 0; failure && i < ELEMENTSOF(phases); i++)
        if (str_equal(failure->phase, phases[i]))
            return phases[i];
    return "apply";
}

static int roll_back_from_journal(Deploy *d)
{
    _cleanup_(error_done) Error failure = {};
    const char *phase = failure_phase(d->journal.failure);
    int r = -EINTR;

    if (d->journal.failure)
        r = journal_failure_to_error(&d->journal, &failure);
    else
        r = error_set(&failure, EINTR, "deploy.interrupted", "mgmt-agent was stopped in the middle of the change%s",
                      by_whom(d));
    return flow_roll_back(d, &failure, r, phase);
}

int job_undo(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    int r = resume(d, &err);

    (void) request;
    if (r == 0 && is_over(&d->journal))
        return 0;
    if (r == 0 && d->journal.state == DEPLOY_COMMITTING) /* the confirmation came just in time */
        return EXIT_TRY_AGAIN;
    if (r == 0)
        r = note_by_whom(d, &err);
    if (r == 0 && d->journal.state == DEPLOY_CONFIRMING) {
        _cleanup_(error_done) Error reason = {};

        error_set(&reason, ETIMEDOUT, "confirm.deadline", "%s within %llu s%s",
                  d->journal.by_connection ? "the tunnel did not come up again" : "the cloud did not confirm",
                  (unsigned long long) (d->journal.confirm_usec / USEC_PER_SEC), by_whom(d));
        r = journal_note_failure(&d->journal, &reason, -ETIMEDOUT, "confirm", NULL);
        if (r == 0)
            r = journal_step(&d->journal, EVENT_DEADLINE, &err);
    }
    if (r == 0)
        r = box_open_again(&d->box, d->options->podman_compose, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot roll back yet, trying again");
        return EXIT_TRY_AGAIN;
    }
    return roll_back_from_journal(d);
}

/* After a start: what the journal says was under way is finished or undone. */
int job_recover(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    DeployState before;
    int r = resume(d, &err);

    (void) request;
    before = d->journal.state;
    if (r == 0 && (before == DEPLOY_IDLE || before == DEPLOY_CONFIRMING || before == DEPLOY_RECOVERY))
        return 0;
    deploy_end_leftovers();
    if (r == 0 && before == DEPLOY_PREPARING) {
        error_set(&err, EINTR, "deploy.interrupted", "mgmt-agent was stopped before anything was touched; push again");
        return deploy_finish(d, "failed", 503, &err, -EINTR, EVENT_FAILED);
    }
    /* podman first: a podman that does not answer is no reason to use up a try */
    if (r == 0)
        r = box_open_again(&d->box, d->options->podman_compose, &err);
    if (r == 0 && before != DEPLOY_COMMITTING)
        r = note_by_whom(d, &err);
    if (r == 0)
        r = journal_step(&d->journal, EVENT_RESTARTED, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot recover yet, trying again");
        return EXIT_TRY_AGAIN;
    }
    if (d->journal.state == DEPLOY_COMMITTING)
        return flow_commit(d);
    if (d->journal.tries > ROLLBACK_TRIES_MAX) {
        error_set(&err, EIO, "rollback.gave-up", "rolling back was interrupted %u times", d->journal.tries);
        return deploy_finish(d, "recovery", 500, &err, -EIO, EVENT_FAILED);
    }
    return roll_back_from_journal(d);
}

static int add_plan(const Deploy *d, PlanFiles *files, cJSON *m)
{
    cJSON *plan = plan_to_json(d->plan);
    int r = json_add_item(m, "plan", plan);

    if (r == 0)
        r = deploy_name_variables(&d->target, plan);
    if (r == 0 && files->list)
        r = json_add_item(plan, "files", TAKE_PTR(files->list));
    return r == 0 && files->more > 0 ? json_add_int(plan, "moreFiles", (int) files->more) : r;
}

static int emit_plan_result(Deploy *d, PlanFiles *files, int status, const Error *failure, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.plan.result");

    if (!m || json_add_string(m, "id", d->report.id) < 0 || json_add_int(m, "status", status) < 0 ||
        json_add_string(m, "phase", d->report.phase) < 0)
        return 1;
    if (failure ? json_add_item(m, "error", safe_error_json(failure, r)) : add_plan(d, files, m))
        return 1;
    report_emit(m);
    return failure ? 1 : 0;
}

/* As a push, but nothing is written, pulled or touched. */
static int job_plan(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    const cJSON *message;
    _cleanup_(plan_files_done) PlanFiles files = {};
    int r = deploy_take_message(d, request, &message);

    d->report.phase = "verify";
    if (r == 0)
        r = project_check_room(&err);
    if (r == 0)
        r = deploy_take_bundle(&d->order, message, &err);
    if (r == 0)
        r = phases_plan(d, &err);
    if (r == 0)
        r = deploy_compare_files(d, &files);
    d->target.bundle = kept_bundle_free(d->target.bundle);
    bundle_store_sweep(); /* a plan leaves nothing behind */
    return r < 0 ? emit_plan_result(d, &files, deploy_status_for(d->report.phase, &err), &err, r)
                 : emit_plan_result(d, &files, 200, NULL, 0);
}

static int job_env_ensure(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("env.report");
    const cJSON *message;
    bool created = false;
    int r = deploy_take_message(d, request, &message);

    if (r == 0) {
        report_phase(&d->report, "secbox-env-ensure");
        r = deploy_env_ensure(&d->box, &d->report, &created, &err);
    }
    if (!m || json_add_string(m, "id", d->report.id) < 0 || json_add_bool(m, "created", r == 0 && created) < 0 ||
        (r < 0 && json_add_item(m, "error", json_from_error(&err, r)) < 0))
        return 1;
    report_emit(m);
    return r < 0;
}

const Job jobs[] = {
    { "apply", job_apply, "deploy a snapshot, up to its proof", true },
    { "update", job_update, "give some services other images, up to their proof", true },
    { "commit", job_commit, "make a confirmed deployment final", true },
    { "undo", job_undo, "roll back a deployment that nobody confirmed", true },
    { "recover", job_recover, "finish or undo what a crash left", true },
    { "guard", job_guard, "take a change back when mgmt-agent does not", false },
    { "start", job_start, "start what ran before the boot", true },
    { "restart", job_restart, "start the container of one service again", true },
    { "revive", job_revive, "start containers that should run and do not", true },
    { "facts", job_facts, "say how the containers of the current deployment are", false },
    { "check-health", job_check_health, "have podman run health checks once", false },
    { "health", job_health, "measure podman's store, and ask the disks how they are", false },
    { "recreate", job_recreate, "make the container of one service anew", true },
    { "project", job_project, "stop, start, restart or remove all of a project", true },
    { "plan", job_plan, "say what a snapshot would change", false },
    { "inspect", job_inspect, "look at what runs, for changes made by hand", false },
    { "look", job_inspect, "inspect, to an agent of the release before", false },
    { "env-ensure", job_env_ensure, "make secbox.env if it is absent", false },
    { "status", job_status, "say what runs", false },
    { "doctor", job_doctor, "say what secboxctl doctor says", false },
    { "logs", job_logs, "show what a service has written to its log", false },
    { "check", job_check, "ask the registries whether images are still the newest", false },
    { "registry-check", job_registry_check, "the part of check that needs the network and no rights", false },
    {},
};
