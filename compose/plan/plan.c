/* SPDX-License-Identifier: MIT */
/* Pairs wanted services with observed containers and decides for each: keep, create, replace, remove. */
#include "compose/plan/plan.h"

#include <errno.h>
#include <string.h>

#include "compose/plan/plan-explain.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static const char *const action_names[_PLAN_ACTION_MAX] = {
    [PLAN_KEEP] = "keep",
    [PLAN_CREATE] = "create",
    [PLAN_REPLACE] = "replace",
    [PLAN_REMOVE] = "remove",
};

const char *plan_action_to_string(PlanAction a)
{
    return (unsigned) a < _PLAN_ACTION_MAX ? action_names[a] : "unknown";
}

typedef struct Planner {
    const ComposeProject *wanted;
    const ComposeProject *previous;
    const ObservedContainer *observed;
    size_t n_observed;
    bool *taken; /* by index: has its place in the plan */
    Plan *plan;
    Error *err;
} Planner;

/* A container cannot move to another network of the same name while others are still on the old one. */
static int check_networks(const Planner *p)
{
    const cJSON *network;

    cJSON_ArrayForEach(network, p->wanted->networks) {
        const cJSON *old =
            p->previous ? cJSON_GetObjectItemCaseSensitive(p->previous->networks, network->string) : NULL;

        if (!old || cJSON_Compare(old, network, true) ||
            !str_equal(json_string(old, "name"), json_string(network, "name")))
            continue;
        return error_set_at(
            p->err, EEXIST, "plan.network-changed", NULL, 0, network->string,
            "the network \"%.100s\" exists with another definition, and running containers cannot leave "
            "it; give the changed network another name",
            network->string);
    }
    return 0;
}

static bool is_wanted(const Planner *p, const char *service)
{
    return service && compose_service_find(p->wanted, service) != NULL;
}

static int check_name_holder(const Planner *p, const ComposeService *s, const ObservedContainer *o)
{
    if (!o->service)
        return error_set_at(
            p->err, EEXIST, "plan.name-taken", NULL, s->line, s->name,
            "a container called \"%s\" exists that is not of this project; rename or remove it, or give "
            "the service another container_name",
            o->name);
    if (!str_equal(o->service, s->name) && is_wanted(p, o->service))
        return error_set_at(
            p->err, EEXIST, "plan.name-taken", NULL, s->line, s->name,
            "the name \"%s\" is still held by the container of service \"%s\"; give one of them another "
            "container_name",
            o->name, o->service);
    return 0;
}

/* The container that has the wanted name, else a running one of the service, else any of it. */
static int find_container(const Planner *p, const ComposeService *s, size_t *ret)
{
    size_t best = p->n_observed;

    for (size_t i = 0; i < p->n_observed; i++) {
        const ObservedContainer *o = &p->observed[i];

        if (str_equal(o->name, s->container_name)) {
            int r = check_name_holder(p, s, o);

            if (r < 0)
                return r;
            *ret = i;
            return 1;
        }
        if (str_equal(o->service, s->name) && !p->taken[i] && (best == p->n_observed || str_equal(o->state, "running")))
            best = i;
    }
    if (best == p->n_observed)
        return 0;
    *ret = best;
    return 1;
}

static bool is_as_wanted(const ComposeService *s, const ObservedContainer *o)
{
    if (!str_equal(o->name, s->container_name) || str_empty(o->config_hash) ||
        !str_equal(o->config_hash, s->config_hash))
        return false;
    return str_equal(o->state, "running") ||
           (str_equal(o->state, "exited") && o->exit_code == 0 && str_equal(s->restart, "no"));
}

/* Takes reason, also on failure. */
static int add_step(Planner *p, PlanAction action, const char *service, const char *container, const char *old_id,
                    char *reason)
{
    PlanStep *step = &p->plan->steps[p->plan->n_steps++];

    *step = (PlanStep) {
        .action = action,
        .service = strdup(service),
        .container = strdup(container),
        .old_id = old_id ? strdup(old_id) : NULL,
        .reason = reason,
    };
    if (action != PLAN_KEEP)
        p->plan->n_changes++;
    return step->service && step->container && step->reason && (!old_id || step->old_id) ? 0 : -ENOMEM;
}

static int plan_service(Planner *p, const ComposeService *s)
{
    const ObservedContainer *o;
    char *reason = NULL;
    size_t i = 0;
    int r = find_container(p, s, &i);

    if (r < 0)
        return r;
    if (r == 0) {
        const ComposeService *before = p->previous ? compose_service_find(p->previous, s->name) : NULL;

        return add_step(p, PLAN_CREATE, s->name, s->container_name, NULL,
                        strdup(before ? "container is missing" : "new service"));
    }
    o = &p->observed[i];
    p->taken[i] = true;
    if (is_as_wanted(s, o))
        return add_step(p, PLAN_KEEP, s->name, s->container_name, o->id, strdup("runs already as wanted"));
    if (!str_equal(o->service, s->name))
        reason = str_format("takes the name of service %s, which is no longer in the file", o->service);
    else
        r = plan_explain(p->wanted, s, p->previous, o, &reason);
    return r < 0 ? r : add_step(p, PLAN_REPLACE, s->name, s->container_name, o->id, reason);
}

static const char *reason_to_remove(const Planner *p, const ObservedContainer *o)
{
    const ComposeService *before = p->previous ? compose_service_find(p->previous, o->service) : NULL;

    if (is_wanted(p, o->service))
        return "left over beside the service's container";
    return before && before->replica_of && is_wanted(p, before->replica_of)
               ? "the file asks for fewer containers of its service"
               : "service is no longer in the file";
}

static int plan_removals(Planner *p)
{
    for (size_t i = 0; i < p->n_observed; i++) {
        const ObservedContainer *o = &p->observed[i];
        int r;

        if (p->taken[i] || !o->service)
            continue;
        r = add_step(p, PLAN_REMOVE, o->service, o->name, o->id, strdup(reason_to_remove(p, o)));
        if (r < 0)
            return r;
    }
    return 0;
}

static PlanStep *find_step(Plan *plan, const char *service)
{
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].action != PLAN_REMOVE && str_equal(plan->steps[i].service, service))
            return &plan->steps[i];
    return NULL;
}

static bool is_made_anew(const PlanStep *step)
{
    return step && (step->action == PLAN_CREATE || step->action == PLAN_REPLACE);
}

static int replace_too(Plan *plan, PlanStep *step, const char *before, const char *other, const char *after)
{
    char *reason = str_format("%s%s%s", before, other, after), *with = strdup(other);

    if (!reason || !with) {
        free(reason);
        free(with);
        return -ENOMEM;
    }
    free(step->reason);
    free(step->with);
    step->reason = reason;
    step->with = with;
    step->action = PLAN_REPLACE;
    plan->n_changes++;
    return 0;
}

/* `restart: true` takes a service along with what it depends on; what must be complete before it, is run again. */
static int take_along(Plan *plan, const ComposeService *s, bool *ret_more)
{
    PlanStep *own = find_step(plan, s->name);
    int r = 0;

    for (size_t i = 0; r >= 0 && own && s->depends_on && s->depends_on[i]; i++) {
        const char *name = s->depends_on[i], *condition = json_string(s->depends_conditions, name);
        PlanStep *other = find_step(plan, name);

        if (own->action == PLAN_KEEP && strv_contains(s->restarts_with, name) && is_made_anew(other)) {
            r = replace_too(plan, own, "starts again with ", name, ", on which it depends");
            *ret_more = true;
        }
        if (r >= 0 && other && other->action == PLAN_KEEP && is_made_anew(own) &&
            str_equal(condition, "service_completed_successfully")) {
            r = replace_too(plan, other, "runs again before ", s->name, "");
            *ret_more = true;
        }
    }
    return r;
}

/* Each turn changes a step from keep to replace, so there is an end. */
int compose_plan_take_along(const ComposeProject *wanted, Plan *plan)
{
    bool more = true;
    int r = 0;

    while (r >= 0 && more) {
        more = false;
        for (size_t i = 0; r >= 0 && i < wanted->n_services; i++)
            r = take_along(plan, &wanted->services[i], &more);
    }
    return r;
}

int compose_plan(const ComposeProject *wanted, const ComposeProject *previous, const ObservedContainer *observed,
                 size_t n_observed, Plan **ret, Error *err)
{
    _cleanup_(plan_freep) Plan *plan = calloc(1, sizeof(Plan));
    _cleanup_(freep) bool *taken = calloc(n_observed + 1, sizeof(bool));
    Planner p = { wanted, previous, observed, n_observed, taken, plan, err };
    int r;

    if (!plan || !taken)
        return -ENOMEM;
    plan->steps = calloc(wanted->n_services + n_observed + 1, sizeof(PlanStep));
    if (!plan->steps)
        return -ENOMEM;
    r = check_networks(&p);
    for (size_t i = 0; r >= 0 && i < wanted->n_services; i++)
        r = plan_service(&p, &wanted->services[i]);
    r = r < 0 ? r : plan_removals(&p);
    r = r < 0 ? r : compose_plan_take_along(wanted, plan);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(plan);
    return 0;
}

static void step_done(PlanStep *s)
{
    free(s->service);
    free(s->container);
    free(s->old_id);
    free(s->reason);
    free(s->engine);
    free(s->why);
    free(s->with);
}

Plan *plan_free(Plan *p)
{
    for (size_t i = 0; p && i < p->n_steps; i++)
        step_done(&p->steps[i]);
    if (p)
        free(p->steps);
    free(p);
    return NULL;
}

static int step_set(PlanStep *s, PlanAction action, const char *reason)
{
    char *copy = strdup(reason);

    if (!copy)
        return -ENOMEM;
    free(s->reason);
    s->reason = copy;
    s->action = action;
    return 0;
}

int plan_replace(Plan *p, PlanStep *step, const char *reason)
{
    p->n_changes += step->action == PLAN_KEEP;
    return step_set(step, PLAN_REPLACE, reason);
}

int plan_limit(Plan *p, char *const *only, char *const *again)
{
    size_t n = 0;
    int r = 0;

    p->n_changes = 0;
    for (size_t i = 0; i < p->n_steps; i++) {
        PlanStep *s = &p->steps[i];
        bool meant = s->action != PLAN_REMOVE && strv_contains(only, s->service);

        if (!meant && (s->action == PLAN_CREATE || s->action == PLAN_REMOVE)) {
            step_done(s);
            continue;
        }
        if (r == 0 && !meant && s->action == PLAN_REPLACE)
            r = step_set(s, PLAN_KEEP, "is not meant by this change");
        if (r == 0 && meant && s->action == PLAN_KEEP && strv_contains(again, s->service))
            r = step_set(s, PLAN_REPLACE, "is made anew");
        p->n_changes += s->action != PLAN_KEEP;
        p->steps[n++] = *s;
    }
    p->n_steps = n;
    return r;
}

static cJSON *step_to_json(const PlanStep *step)
{
    cJSON *o = cJSON_CreateObject();

    if (o && json_add_string(o, "service", step->service) >= 0 &&
        json_add_string(o, "action", plan_action_to_string(step->action)) >= 0 &&
        json_add_string(o, "container", step->container) >= 0 && json_add_string(o, "reason", step->reason) >= 0 &&
        json_add_string(o, "engine", step->engine) >= 0 && json_add_string(o, "engineReason", step->why) >= 0)
        return o;
    cJSON_Delete(o);
    return NULL;
}

int plan_add_reason(Plan *p, const char *service, const char *more)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        PlanStep *step = &p->steps[i];
        char *reason;

        if (!str_equal(step->service, service))
            continue;
        reason = str_empty(step->reason) ? strdup(more) : str_format("%s; %s", step->reason, more);
        if (!reason)
            return -ENOMEM;
        free(step->reason);
        step->reason = reason;
    }
    return 0;
}

cJSON *plan_to_json(const Plan *p)
{
    _cleanup_(cJSON_Deletep) cJSON *out = cJSON_CreateObject();
    cJSON *steps = cJSON_CreateArray();

    if (!out || !steps || json_add_int(out, "changes", (int) p->n_changes) < 0) {
        cJSON_Delete(steps);
        return NULL;
    }
    if (json_add_item(out, "steps", steps) < 0)
        return NULL;
    for (size_t i = 0; i < p->n_steps; i++) {
        cJSON *step = step_to_json(&p->steps[i]);

        if (!step || json_append(steps, step) < 0)
            return NULL;
    }
    return TAKE_PTR(out);
}

void observed_done(ObservedContainer *o)
{
    free(o->id);
    free(o->name);
    free(o->service);
    free(o->elsewhere);
    free(o->image_id);
    free(o->config_hash);
    free(o->state);
    *o = (ObservedContainer) {};
}
