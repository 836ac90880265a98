/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/sequence.h"

#include "mgmt-agent/worker/phases/apply.h"
#include "mgmt-agent/worker/phases/check-file.h"
#include "mgmt-agent/worker/phases/preflight.h"
#include "mgmt-agent/worker/phases/prove.h"
#include "mgmt-agent/worker/phases/pull.h"
#include "mgmt-agent/worker/phases/report.h"

static int ensure_env(Deploy *d, Error *err)
{
    bool created = false;
    return deploy_env_ensure(&d->box, &d->report, &created, err);
}

static const struct {
    const char *name; /* on the wire */
    int (*run)(Deploy *d, Error *err);
    int (*plan)(Deploy *d, Error *err); /* NULL: no part of a plan */
} phases[] = {
    [PHASE_PARSE] = { "parse", deploy_parse, deploy_parse },
    [PHASE_POLICY] = { "policy", deploy_policy, deploy_policy },
    [PHASE_ENV_ENSURE] = { "secbox-env-ensure", ensure_env, deploy_env_plan },
    [PHASE_ENV_SANITY] = { "secbox-env-sanity", deploy_env_sanity, deploy_env_sanity },
    [PHASE_RENDER] = { "render", deploy_render, deploy_render },
    [PHASE_PREFLIGHT] = { "preflight", deploy_preflight, deploy_preflight },
    [PHASE_PULL] = { "pull", deploy_pull, NULL },
    [PHASE_APPLY] = { "apply", deploy_apply, NULL },
    [PHASE_PROVE] = { "prove", deploy_prove, NULL },
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
