/* SPDX-License-Identifier: MIT */
/* How every change of the box begins and ends, whatever asked for it: one journal, one way forward, one way back. */

#include "mgmt-agent/worker/phases/flow.h"

#include <errno.h>
#include <string.h>

#include "lib/base/boot-id.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/worker/phases/by-hand-file.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/finish.h"
#include "mgmt-agent/worker/phases/hooks.h"
#include "mgmt-agent/worker/phases/image-sweep.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/result.h"
#include "mgmt-agent/worker/phases/sequence.h"
#include "mgmt-agent/worker/phases/stage.h"

/* What may be well the next time. */
static bool is_passing(const Error *err, int r)
{
    return r == -ENOMEM || str_starts(error_id(err), "podman.");
}

int flow_roll_back(Deploy *d, const Error *failure, int failure_r, const char *failed_phase)
{
    _cleanup_(error_done) Error err = {};
    int r = deploy_roll_back(d, &err);

    if (r < 0 && is_passing(&err, r) && d->journal.tries < ROLLBACK_TRIES_MAX) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot roll back now, trying again");
        return EXIT_TRY_AGAIN;
    }
    if (r < 0) {
        report_progress(&d->report, "failed", NULL, "the rollback failed, leaving everything as it is: %s",
                        error_message(&err, r));
        return deploy_finish(d, "recovery", 500, &err, r, EVENT_FAILED);
    }
    report_progress(&d->report, "done", NULL, "the containers are as they were before");
    d->report.phase = failed_phase;
    return deploy_finish(d, "rolled-back", 500, failure, failure_r, EVENT_FINISHED);
}

int flow_commit(Deploy *d)
{
    _cleanup_(error_done) Error err = {};
    int r = deploy_commit(d, &err);

    if (r < 0 && d->journal.tries < COMMIT_TRIES_MAX) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot commit snapshot %s yet, trying again", d->report.version);
        return EXIT_TRY_AGAIN;
    }
    if (r < 0) /* what runs is proved; only the housekeeping failed, and the next push removes what is left over */
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot finish the commit of snapshot %s, keeping it as it runs",
                    d->report.version);
    report_phase(&d->report, "done");
    return deploy_finish(d, "done", 200, NULL, 0, EVENT_FINISHED);
}

static void report_failure(Report *report, const Error *err, int r)
{
    report_progress(report, "failed", NULL, "%s [%s]", error_message(err, r), error_id(err));
}

static int status_of(const char *phase, const Error *err, int r)
{
    return r == -ENOSPC || r == -EDQUOT ? 507 : deploy_status_for(phase, err);
}

int flow_refuse(Deploy *d, const Error *err, int r)
{
    report_failure(&d->report, err, r);
    deploy_answer(d, "failed", status_of(d->report.phase, err, r), err, r);
    return 1;
}

int flow_fail_untouched(Deploy *d, const Error *err, int r)
{
    const NewImages new = { &d->journal, d->target.image_ids };

    report_failure(&d->report, err, r);
    deploy_unstage(&d->report);
    d->target.bundle = kept_bundle_free(d->target.bundle);
    bundle_store_sweep();
    if (!str_starts(error_id(err), "podman."))
        deploy_sweep_images(d->box.podman, project_selected(), &new);
    return deploy_finish(d, "failed", status_of(d->report.phase, err, r), err, r, EVENT_FAILED);
}

static int fail_touched(Deploy *d, const Error *err, int r)
{
    _cleanup_(error_done) Error journal_error = {};
    const char *failed_phase = d->report.phase;
    int j;

    report_failure(&d->report, err, r);
    if (journal_note_failure(&d->journal, err, r, failed_phase, d->proof.failed_log) < 0)
        log_warning("Out of memory noting why snapshot %s failed", d->report.version);
    j = journal_step(&d->journal, EVENT_FAILED, &journal_error);
    if (j < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &journal_error, j, "Cannot write the journal, rolling back all the same");
    return flow_roll_back(d, err, r, failed_phase);
}

/* Proved here. The cloud confirms what it pushed itself, on a connection that is opened after this. */
static int conclude(Deploy *d)
{
    _cleanup_(error_done) Error err = {};
    bool confirm = (d->order.from_cloud && d->order.nonce) || d->journal.by_connection;
    int r;

    d->journal.project = current_from_deploy(d, &err);
    if (!d->journal.project)
        return fail_touched(d, &err, -ENOMEM);
    deploy_write_by_hand(&d->target, &d->box.user, &d->report);
    if (confirm) {
        d->journal.boot_id = boot_id_read();
        d->journal.confirm_usec = d->order.confirm_usec;
        d->journal.deadline_usec = boottime_usec() + d->order.confirm_usec;
    }
    d->journal.seq = d->report.seq;
    r = journal_step(&d->journal, confirm ? EVENT_PROVED : EVENT_ACCEPTED, &err);
    if (r < 0)
        return fail_touched(d, &err, r);
    if (!confirm)
        return flow_commit(d);
    report_phase(&d->report, "confirm");
    return 0;
}

/* All runs already: only what is remembered changes. */
static int conclude_unchanged(Deploy *d)
{
    _cleanup_(error_done) Error err = {};
    int r;

    d->journal.project = current_from_deploy(d, &err);
    deploy_write_by_hand(&d->target, &d->box.user, &d->report);
    r = d->journal.project ? journal_step(&d->journal, EVENT_NOTHING, &err) : -ENOMEM;
    return r < 0 ? flow_fail_untouched(d, &err, r) : flow_commit(d);
}

/* The container is as new as it gets: what it makes of the hook is seen when it is proved. */
static int run_post_update(Box *box, const Plan *plan, Report *report, Error *err)
{
    _cleanup_(error_done) Error reason = {};
    int r = update_run_hooks(box, report, plan, HOOK_POST_UPDATE, &reason);

    if (r < 0 && str_equal(error_id(&reason), "update.hook")) {
        *err = reason;
        reason = (Error) {};
        return r;
    }
    if (r < 0)
        report_progress(report, "info", NULL, "%s", error_message(&reason, r));
    return 0;
}

int flow_change(Deploy *d)
{
    bool is_update = str_equal(d->journal.kind, KIND_UPDATE);
    _cleanup_(error_done) Error err = {};
    int r;

    if (d->plan->n_changes == 0)
        return conclude_unchanged(d);
    r = is_update ? update_run_hooks(&d->box, &d->report, d->plan, HOOK_PRE_UPDATE, &err) : 0;
    if (r == 0)
        r = phases_run(d, PHASE_APPLY, PHASE_APPLY, &err);
    if (r < 0 && d->journal.state == DEPLOY_PREPARING)
        return flow_fail_untouched(d, &err, r);
    if (r == 0 && is_update)
        r = run_post_update(&d->box, d->plan, &d->report, &err);
    if (r == 0)
        r = phases_run(d, PHASE_PROVE, PHASE_PROVE, &err);
    return r < 0 ? fail_touched(d, &err, r) : conclude(d);
}

int flow_begin(Deploy *d, Error *err)
{
    _cleanup_(journal_done) Journal last = {};
    Journal *j = &d->journal;
    int r = journal_load(&last, err);

    if (r == 0)
        r = project_make_folder(err);
    if (r < 0)
        return r;
    j->state = last.state;
    j->project_name = project_is_own() ? NULL : strdup(project_selected());
    j->id = strdup(d->report.id);
    j->version = strdup(d->report.version);
    j->nonce = d->order.nonce ? strdup(d->order.nonce) : NULL;
    j->started_realtime = realtime_usec();
    if (!j->id || !j->version || (!project_is_own() && !j->project_name) || (d->order.nonce && !j->nonce))
        return -ENOMEM;
    return journal_step(j, EVENT_START, err);
}
