/* SPDX-License-Identifier: MIT */
/* Replaces what changes and nothing else. An old container is stopped and renamed, never removed, until finish.c. */

#include "mgmt-agent/worker/phases/apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/binds.h"
#include "mgmt-agent/worker/phases/prove.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/stage.h"

static const ObservedContainer *observed_by_id(const Deploy *d, const char *id)
{
    for (size_t i = 0; i < d->before.n_observed; i++)
        if (str_equal(d->before.observed[i].id, id))
            return &d->before.observed[i];
    return NULL;
}

/* Writes down what will be done, with the ids that undo it, before any of it is done. */
static int record_steps(Deploy *d, Error *err)
{
    for (size_t i = 0; i < d->plan->n_steps; i++) {
        const PlanStep *s = &d->plan->steps[i];
        const ObservedContainer *old = s->old_id ? observed_by_id(d, s->old_id) : NULL;
        _cleanup_(freep) char *backup = old ? str_format("%s-before-%s", old->name, d->report.version) : NULL;

        const JournalStep step = { .action = (char *) plan_action_to_string(s->action),
                                   .service = s->service,
                                   .container = s->container,
                                   .old_id = old ? old->id : NULL,
                                   .old_name = old ? old->name : NULL,
                                   .backup = backup,
                                   .was_running =
                                       old && (str_equal(old->state, "running") || str_equal(old->state, "paused")) };

        if (s->action == PLAN_KEEP)
            continue;
        if (journal_add_step(&d->journal, &step) < 0)
            return error_set(err, ENOMEM, "apply.failed", "no memory for the journal");
    }
    d->journal.seq = d->report.seq;
    return journal_step(&d->journal, EVENT_READY, err);
}

/* What the old container was promised when it was made, not what the new one will be. */
static unsigned grace_of(const Deploy *d, const char *service)
{
    const ComposeService *s = d->before.project ? compose_service_find(d->before.project, service) : NULL;

    if (!s)
        s = compose_service_find(d->target.project, service);
    return s ? s->stop_grace_seconds : 10;
}

/* Stops the old containers of these journal steps at the same time, then gives them their backup names. */
static int set_aside(Deploy *d, const JournalStep *const *steps, size_t n, Error *err)
{
    _cleanup_(freep) StopRequest *stops = calloc(n + 1, sizeof(*stops));
    size_t n_stops = 0;
    int r;

    if (!stops)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (steps[i]->old_id)
            stops[n_stops++] = (StopRequest) { steps[i]->old_id, grace_of(d, steps[i]->service) };
    r = podman_stop_all(d->box.podman, stops, n_stops, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (steps[i]->old_id)
            r = podman_rename(d->box.podman, steps[i]->old_id, steps[i]->backup, err);
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
    return set_aside(d, steps, n, err);
}

/* How many dependencies deep a service stands; services of one level do not depend on each other. */
static unsigned level_of(const ComposeProject *p, const ComposeService *s)
{
    unsigned level = 0;

    for (char **name = s->depends_on; name && *name; name++) {
        const ComposeService *dependency = compose_service_find(p, *name);
        unsigned below = dependency ? level_of(p, dependency) + 1 : 0;

        if (below > level)
            level = below;
    }
    return level;
}

static int wait_for_dependencies(Deploy *d, const ComposeService *s, Error *err)
{
    for (char **name = s->depends_on; name && *name; name++) {
        const char *condition = json_string(s->depends_conditions, *name);
        const ComposeService *dependency = compose_service_find(d->target.project, *name);
        bool completed = str_equal(condition, "service_completed_successfully");
        int r;

        if (!dependency || (!completed && !str_equal(condition, "service_healthy")))
            continue;
        report_progress(&d->report, "info", s->name, "waiting for %s to %s", *name,
                        completed ? "complete" : "be healthy");
        r = deploy_wait_ready(d, dependency, completed, err);
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
    int r = jobs ? deploy_lend(d, &work) : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++) {
        _cleanup_(freep) char *why = NULL;

        if (deploy_engine_of(d, services[i], &why) != engine)
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
        const JournalStep *step = deploy_change_of(d, s->name);

        if (!step || level_of(d->target.project, s) != level)
            continue;
        services[n] = s;
        steps[n++] = step;
    }
    for (size_t i = 0; r == 0 && i < n; i++)
        r = wait_for_dependencies(d, services[i], err);
    if (r == 0)
        r = set_aside(d, steps, n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = deploy_ready_binds(d, services[i], err);
    return r == 0 && n > 0 ? start_services(d, services, n, level == 0, err) : r;
}

int deploy_apply(Deploy *d, Error *err)
{
    unsigned deepest = 0;
    int r;

    r = deploy_stage(d, err);
    if (r == 0)
        r = record_steps(d, err);
    if (r == 0)
        r = set_aside_removed(d, err);
    for (size_t i = 0; i < d->target.project->n_services; i++) {
        unsigned level = level_of(d->target.project, &d->target.project->services[i]);

        if (level > deepest)
            deepest = level;
    }
    for (unsigned level = 0; r == 0 && level <= deepest; level++)
        r = apply_level(d, level, err);
    d->journal.seq = d->report.seq;
    return r < 0 ? r : journal_step(&d->journal, EVENT_APPLIED, err);
}
