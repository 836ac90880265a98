/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/make-plan.h"

#include <errno.h>

#include "lib/base/strv.h"

/* For hashing: an image that is not here yet hashes as its name, so that its service counts as changed. */
static const char *image_for_hash(const char *service, void *userdata)
{
    const DeployTarget *t = userdata;
    const char *id = map_get(t->image_ids, service);
    const ComposeService *s = compose_service_find(t->project, service);

    return id ? id : s ? s->image : "";
}

/* The names, and the services that live in the network of one of them, through whatever lies between: it goes with its
 * container. A new strv in *ret. */
static int with_guests(const ComposeProject *p, char *const *names, char ***ret)
{
    int r = 0;

    for (size_t i = 0; r == 0 && names && names[i]; i++)
        r = strv_add(ret, names[i]);
    for (size_t i = 0; r == 0 && i < p->n_services; i++)
        if (!strv_contains(names, p->services[i].name) && compose_lives_in(p, &p->services[i], names))
            r = strv_add(ret, p->services[i].name);
    return r;
}

static int limit(Plan *plan, const ComposeProject *p, const DeployOrder *order, Error *err)
{
    _cleanup_(strv_freep) char **only = NULL, **again = NULL;
    int r = with_guests(p, order->only, &only);

    if (r == 0)
        r = with_guests(p, order->again, &again);
    if (r == 0)
        r = plan_limit(plan, only, again);
    return r < 0 ? error_set(err, ENOMEM, "plan.failed", "no memory") : 0;
}

int deploy_make_plan(DeployTarget *t, const DeployPast *before, const DeployOrder *order, Plan **plan, Error *err)
{
    int r;

    if (compose_hash_services(t->project, image_for_hash, t) < 0)
        return error_set(err, EIO, "plan.failed", "cannot hash the services");
    plan_free(*plan);
    *plan = NULL;
    r = compose_plan(t->project, before->project, before->observed, before->n_observed, plan, err);
    return r == 0 && order->only ? limit(*plan, t->project, order, err) : r;
}
