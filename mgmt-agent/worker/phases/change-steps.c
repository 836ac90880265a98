/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/change-steps.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/strv.h"

#define STOP_GRACE_DEFAULT_SECONDS 10 /* podman's own */

static const ObservedContainer *observed_by_id(const DeployPast *before, const char *id)
{
    for (size_t i = 0; i < before->n_observed; i++)
        if (str_equal(before->observed[i].id, id))
            return &before->observed[i];
    return NULL;
}

int change_steps_add(const Plan *plan, const DeployPast *before, const char *version, Journal *j)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->n_steps; i++) {
        const PlanStep *s = &plan->steps[i];
        const ObservedContainer *old = s->old_id ? observed_by_id(before, s->old_id) : NULL;
        _cleanup_(freep) char *backup = old ? str_format("%s-before-%s", old->name, version) : NULL;

        const JournalStep step = { .action = (char *) plan_action_to_string(s->action),
                                   .service = s->service,
                                   .container = s->container,
                                   .old_id = old ? old->id : NULL,
                                   .old_name = old ? old->name : NULL,
                                   .backup = backup,
                                   .with = s->with,
                                   .was_running =
                                       old && (str_equal(old->state, "running") || str_equal(old->state, "paused")) };

        if (s->action == PLAN_KEEP)
            continue;
        r = old && !backup ? -ENOMEM : journal_add_step(j, &step);
    }
    return r;
}

unsigned change_grace_seconds(const ComposeProject *before, const ComposeProject *after, const char *service)
{
    const ComposeService *s = before ? compose_service_find(before, service) : NULL;

    if (!s)
        s = compose_service_find(after, service);
    return s ? s->stop_grace_seconds : STOP_GRACE_DEFAULT_SECONDS;
}

unsigned change_level(const ComposeProject *p, const ComposeService *s)
{
    unsigned level = 0;

    for (char **name = s->depends_on; name && *name; name++) {
        const ComposeService *dependency = compose_service_find(p, *name);
        unsigned below = dependency ? change_level(p, dependency) + 1 : 0;

        if (below > level)
            level = below;
    }
    return level;
}

unsigned change_deepest_level(const ComposeProject *p)
{
    unsigned deepest = 0;

    for (size_t i = 0; i < p->n_services; i++) {
        unsigned level = change_level(p, &p->services[i]);

        if (level > deepest)
            deepest = level;
    }
    return deepest;
}
