/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/sequence.h"

#include "mgmt-agent/state/project.h"
#include "mgmt-agent/worker/phases/apply.h"
#include "mgmt-agent/worker/phases/check-file.h"
#include "mgmt-agent/worker/phases/preflight.h"
#include "mgmt-agent/worker/phases/prove.h"
#include "mgmt-agent/worker/phases/pull.h"
#include "mgmt-agent/worker/phases/report.h"

/* One signature for all: what each phase needs of the deployment, and no more. */
static int parse(Deploy *d, Error *err)
{
    int r = deploy_parse(d->order.text, &d->target.file, err);

    return r < 0 ? r : deploy_open_bundle(&d->order, &d->box, &d->target, err);
}

static int policy(Deploy *d, Error *err)
{
    return deploy_policy(&d->target, d->order.only || d->order.goes_back, err);
}

static int env_ensure(Deploy *d, Error *err)
{
    bool created = false;
    return deploy_env_ensure(&d->box, &d->report, &created, err);
}

static int env_plan(Deploy *d, Error *err)
{
    return deploy_env_plan(&d->box, &d->report, &d->target.env, err);
}

static int env_sanity(Deploy *d, Error *err)
{
    return deploy_env_sanity(&d->target, project_selected(), &d->report, err);
}

static int render(Deploy *d, Error *err)
{
    return deploy_render(&d->target, project_selected(), box_engine_setting(&d->box), &d->report, err);
}

static PlanContext plan_context(Deploy *d)
{
    return (PlanContext) { &d->target, &d->before, &d->order, &d->journal, &d->report, &d->plan };
}

static int preflight(Deploy *d, Error *err)
{
    const PlanContext p = plan_context(d);
    return deploy_preflight(&p, &d->box, d->options->podman_compose, err);
}

static int pull(Deploy *d, Error *err)
{
    const PlanContext p = plan_context(d);
    return deploy_pull(&p, d->box.podman, d->options->pull_timeout_usec, err);
}

static int apply(Deploy *d, Error *err)
{
    const ApplyContext a = { &d->box,   &d->target, &d->before,  d->plan,
                             &d->proof, &d->report, &d->journal, d->options->parallel };
    return deploy_apply(&a, err);
}

static int prove(Deploy *d, Error *err)
{
    const ProofContext p = { d->box.podman, &d->target, &d->proof, &d->report };
    const ProofScope scope = { &d->journal, &d->before, d->order.only, d->options->settle_usec };
    return deploy_prove(&p, &scope, err);
}

static const struct {
    const char *name; /* on the wire */
    int (*run)(Deploy *d, Error *err);
    int (*plan)(Deploy *d, Error *err); /* NULL: no part of a plan */
} phases[] = {
    [PHASE_PARSE] = { "parse", parse, parse },
    [PHASE_POLICY] = { "policy", policy, policy },
    [PHASE_ENV_ENSURE] = { "secbox-env-ensure", env_ensure, env_plan },
    [PHASE_ENV_SANITY] = { "secbox-env-sanity", env_sanity, env_sanity },
    [PHASE_RENDER] = { "render", render, render },
    [PHASE_PREFLIGHT] = { "preflight", preflight, preflight },
    [PHASE_PULL] = { "pull", pull, NULL },
    [PHASE_APPLY] = { "apply", apply, NULL },
    [PHASE_PROVE] = { "prove", prove, NULL },
};

int phases_run(Deploy *d, PhaseId first, PhaseId last, Error *err)
{
    int r = 0;
    for (size_t i = first; r == 0 && i <= last; i++) {
        report_phase(&d->report, phases[i].name);
        r = phases[i].run(d, err);
    }
    return r;
}

int phases_plan(Deploy *d, Error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < ELEMENTSOF(phases); i++) {
        if (!phases[i].plan)
            continue;
        report_phase(&d->report, phases[i].name);
        r = phases[i].plan(d, err);
    }
    return r;
}
