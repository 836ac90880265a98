/* SPDX-License-Identifier: MIT */
/* Replaces what changes and nothing else. An old container is stopped and renamed, never removed, until finish.c. */

#include "mgmt-agent/worker/phases/apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/change-guard.h"
#include "mgmt-agent/state/confirm-deadline.h"
#include "mgmt-agent/worker/phases/binds.h"
#include "mgmt-agent/worker/phases/change-steps.h"
#include "mgmt-agent/worker/phases/prove.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/stage.h"
#include "mgmt-agent/worker/podman/podman-create.h"

/* Before any of it is done, and with the guard at its post. */
static int record_steps(const Plan *plan, const DeployPast *before, const Report *report, Journal *j, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *environment = podman_user_give_environment();
    int r;

    if (!environment || change_steps_add(plan, before, report->version, j) < 0)
        return error_set(err, ENOMEM, "apply.failed", "no memory for the journal");
    j->seq = report->seq;
    j->cut_off = tunnel_is_cut_off(tunnel_down_since(), boottime_usec());
    r = change_mark_set(j->id, environment, err);
    return r == 0 ? journal_step(j, EVENT_READY, err) : r;
}

/* Stops the old containers of these journal steps at the same time, then gives them their backup names. */
static int set_aside(Podman *podman, const DeployPast *before, const DeployTarget *t, const JournalStep *const *steps,
                     size_t n, Error *err)
{
    _cleanup_(freep) StopRequest *stops = calloc(n + 1, sizeof(*stops));
    size_t n_stops = 0;
    int r;

    if (!stops)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (steps[i]->old_id)
            stops[n_stops++] = (StopRequest) { steps[i]->old_id,
                                               change_grace_seconds(before->project, t->project, steps[i]->service) };
    r = podman_stop_all(podman, stops, n_stops, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (steps[i]->old_id)
            r = podman_rename(podman, steps[i]->old_id, steps[i]->backup, err);
    return r;
}

static int set_aside_removed(const ApplyContext *a, Error *err)
{
    _cleanup_(freep) const JournalStep **steps = calloc(a->journal->n_steps + 1, sizeof(*steps));
    size_t n = 0;

    if (!steps)
        return -ENOMEM;
    for (size_t i = 0; i < a->journal->n_steps; i++)
        if (str_equal(a->journal->steps[i].action, "remove"))
            steps[n++] = &a->journal->steps[i];
    return set_aside(a->box->podman, a->before, a->target, steps, n, err);
}

static int wait_for_dependencies(const ApplyContext *a, const ComposeService *s, Error *err)
{
    const ProofContext proof = { a->box->podman, a->target, a->proof, a->report };

    for (char **name = s->depends_on; name && *name; name++) {
        const char *condition = json_string(s->depends_conditions, *name);
        const ComposeService *dependency = compose_service_find(a->target->project, *name);
        bool completed = str_equal(condition, "service_completed_successfully");
        int r;

        if (!dependency || (!completed && !str_equal(condition, "service_healthy")))
            continue;
        report_progress(a->report, "info", s->name, "waiting for %s to %s", *name,
                        completed ? "complete" : "be healthy");
        r = deploy_wait_ready(&proof, dependency, completed, err);
        if (r < 0)
            return error_prefix(err, r, "service %s waits for %s", s->name, *name);
    }
    return 0;
}

/* Those of the services that are the engine's. */
static int start_with(const ApplyContext *a, const Engine *engine, const ComposeService *const *services, size_t n,
                      bool first, Error *err)
{
    _cleanup_(freep) EngineJob *jobs = calloc(n + 1, sizeof(*jobs));
    _cleanup_(deploy_take_back) EngineContext work = {};
    size_t n_jobs = 0;
    int r = jobs ? deploy_lend(a->box, a->target, a->report->version, &work) : -ENOMEM;

    work.parallel = a->parallel;
    for (size_t i = 0; r == 0 && i < n; i++) {
        _cleanup_(freep) char *why = NULL;

        if (deploy_engine_of(a->box, a->target->project, services[i], &why) != engine)
            continue;
        jobs[n_jobs++].service = services[i];
        report_progress(a->report, "info", services[i]->name, "starting %s", services[i]->container_name);
    }
    if (r == 0 && n_jobs > 0)
        r = engine->start(&work, jobs, n_jobs, first, err);
    for (size_t i = 0; i < n_jobs; i++) {
        if (!str_empty(jobs[i].output))
            report_progress(a->report, "info", jobs[i].service->name, "%s said:\n%s", engine->name, jobs[i].output);
        free(jobs[i].output);
    }
    return r;
}

static int start_services(const ApplyContext *a, const ComposeService *const *services, size_t n, bool first,
                          Error *err)
{
    int r = start_with(a, &engine_libpod, services, n, first, err);

    return r < 0 ? r : start_with(a, &engine_podman_compose, services, n, first, err);
}

static int apply_level(const ApplyContext *a, unsigned level, Error *err)
{
    _cleanup_(freep) const ComposeService **services = calloc(a->target->project->n_services + 1, sizeof(*services));
    _cleanup_(freep) const JournalStep **steps = calloc(a->target->project->n_services + 1, sizeof(*steps));
    size_t n = 0;
    int r = 0;

    if (!services || !steps)
        return -ENOMEM;
    for (size_t i = 0; i < a->target->project->n_services; i++) {
        const ComposeService *s = &a->target->project->services[i];
        const JournalStep *step = deploy_change_of(a->journal, s->name);

        if (!step || change_level(a->target->project, s) != level)
            continue;
        services[n] = s;
        steps[n++] = step;
    }
    for (size_t i = 0; r == 0 && i < n; i++)
        r = wait_for_dependencies(a, services[i], err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = podman_free_name(a->box->podman, steps[i]->container, err);
    if (r == 0)
        r = set_aside(a->box->podman, a->before, a->target, steps, n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = deploy_ready_binds(a->box, a->target, services[i], a->report, err);
    return r == 0 && n > 0 ? start_services(a, services, n, level == 0, err) : r;
}

int deploy_apply(const ApplyContext *a, Error *err)
{
    unsigned deepest = change_deepest_level(a->target->project);
    int r = deploy_stage(a->box, a->target, a->plan, a->report, err);

    if (r == 0)
        r = record_steps(a->plan, a->before, a->report, a->journal, err);
    if (r == 0)
        r = set_aside_removed(a, err);
    for (unsigned level = 0; r == 0 && level <= deepest; level++)
        r = apply_level(a, level, err);
    a->journal->seq = a->report->seq;
    return r < 0 ? r : journal_step(a->journal, EVENT_APPLIED, err);
}
