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

static int set_aside_removed(Deploy *d, Error *err)
{
    _cleanup_(freep) const JournalStep **steps = calloc(d->journal.n_steps + 1, sizeof(*steps));
    size_t n = 0;

    if (!steps)
        return -ENOMEM;
    for (size_t i = 0; i < d->journal.n_steps; i++)
        if (str_equal(d->journal.steps[i].action, "remove"))
            steps[n++] = &d->journal.steps[i];
    return set_aside(d->box.podman, &d->before, &d->target, steps, n, err);
}

static int wait_for_dependencies(Deploy *d, const ComposeService *s, Error *err)
{
    const ProofContext proof = { d->box.podman, &d->target, &d->proof, &d->report };

    for (char **name = s->depends_on; name && *name; name++) {
        const char *condition = json_string(s->depends_conditions, *name);
        const ComposeService *dependency = compose_service_find(d->target.project, *name);
        bool completed = str_equal(condition, "service_completed_successfully");
        int r;

        if (!dependency || (!completed && !str_equal(condition, "service_healthy")))
            continue;
        report_progress(&d->report, "info", s->name, "waiting for %s to %s", *name,
                        completed ? "complete" : "be healthy");
        r = deploy_wait_ready(&proof, dependency, completed, err);
        if (r < 0)
            return error_prefix(err, r, "service %s waits for %s", s->name, *name);
    }
    return 0;
}

/* Those of the services that are the engine's. */
static int start_with(Deploy *d, const Engine *engine, const ComposeService *const *services, size_t n, bool first,
                      Error *err)
{
    _cleanup_(freep) EngineJob *jobs = calloc(n + 1, sizeof(*jobs));
    _cleanup_(deploy_take_back) EngineContext work = {};
    size_t n_jobs = 0;
    int r = jobs ? deploy_lend(&d->box, &d->target, d->report.version, &work) : -ENOMEM;

    work.parallel = d->options->parallel;
    for (size_t i = 0; r == 0 && i < n; i++) {
        _cleanup_(freep) char *why = NULL;

        if (deploy_engine_of(&d->box, d->target.project, services[i], &why) != engine)
            continue;
        jobs[n_jobs++].service = services[i];
        report_progress(&d->report, "info", services[i]->name, "starting %s", services[i]->container_name);
    }
    if (r == 0 && n_jobs > 0)
        r = engine->start(&work, jobs, n_jobs, first, err);
    for (size_t i = 0; i < n_jobs; i++) {
        if (!str_empty(jobs[i].output))
            report_progress(&d->report, "info", jobs[i].service->name, "%s said:\n%s", engine->name, jobs[i].output);
        free(jobs[i].output);
    }
    return r;
}

static int start_services(Deploy *d, const ComposeService *const *services, size_t n, bool first, Error *err)
{
    int r = start_with(d, &engine_libpod, services, n, first, err);

    return r < 0 ? r : start_with(d, &engine_podman_compose, services, n, first, err);
}

static int apply_level(Deploy *d, unsigned level, Error *err)
{
    _cleanup_(freep) const ComposeService **services = calloc(d->target.project->n_services + 1, sizeof(*services));
    _cleanup_(freep) const JournalStep **steps = calloc(d->target.project->n_services + 1, sizeof(*steps));
    size_t n = 0;
    int r = 0;

    if (!services || !steps)
        return -ENOMEM;
    for (size_t i = 0; i < d->target.project->n_services; i++) {
        const ComposeService *s = &d->target.project->services[i];
        const JournalStep *step = deploy_change_of(&d->journal, s->name);

        if (!step || change_level(d->target.project, s) != level)
            continue;
        services[n] = s;
        steps[n++] = step;
    }
    for (size_t i = 0; r == 0 && i < n; i++)
        r = wait_for_dependencies(d, services[i], err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = podman_free_name(d->box.podman, steps[i]->container, err);
    if (r == 0)
        r = set_aside(d->box.podman, &d->before, &d->target, steps, n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = deploy_ready_binds(&d->box, &d->target, services[i], &d->report, err);
    return r == 0 && n > 0 ? start_services(d, services, n, level == 0, err) : r;
}

int deploy_apply(Deploy *d, Error *err)
{
    unsigned deepest = change_deepest_level(d->target.project);
    int r = deploy_stage(&d->box, &d->target, d->plan, &d->report, err);

    if (r == 0)
        r = record_steps(d->plan, &d->before, &d->report, &d->journal, err);
    if (r == 0)
        r = set_aside_removed(d, err);
    for (unsigned level = 0; r == 0 && level <= deepest; level++)
        r = apply_level(d, level, err);
    d->journal.seq = d->report.seq;
    return r < 0 ? r : journal_step(&d->journal, EVENT_APPLIED, err);
}
