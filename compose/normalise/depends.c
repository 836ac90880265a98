/* SPDX-License-Identifier: MIT */
/* What a service waits for. */
#include <errno.h>

#include "compose/normalise/normalise.h"
#include "lib/base/strv.h"

static const char *const conditions[] = {
    "service_started",
    "service_healthy",
    "service_completed_successfully",
};

static int take_condition(const Place *at, const char **ret)
{
    Place condition = place_member(at, "condition");
    const char *text = NULL;
    int r;

    if (!condition.node)
        return 0;
    r = take_text(&condition, &text);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ELEMENTSOF(conditions); i++)
        if (str_equal(text, conditions[i])) {
            *ret = conditions[i];
            return 0;
        }
    return place_fail(&condition, EINVAL, "compose.bad-value", "\"%s\" is not %s, %s or %s", text, conditions[0],
                      conditions[1], conditions[2]);
}

static int fail_missing(const Place *at, const Normaliser *n, const char *name)
{
    if (strv_contains(n->file->profiled, name))
        return place_fail(at, EINVAL, "compose.missing-dependency",
                          "the service %s has `profiles` and is left out; remove its profiles or this dependency",
                          name);
    return place_fail(at, EINVAL, "compose.missing-dependency", "there is no service %s in the file", name);
}

static int add_dependency(const Place *at, const Normaliser *n, ComposeService *s, const char *name)
{
    Place top = place_top(n->file->name, n->root, at->err), services = place_member(&top, "services");
    Place required = place_member(at, "required"), restart = place_member(at, "restart");
    const char *condition = conditions[0];
    bool needed = true, restarts = false;
    int r = take_condition(at, &condition);

    if (r >= 0 && required.node)
        r = take_bool(&required, &needed);
    if (r >= 0 && restart.node)
        r = take_bool(&restart, &restarts);
    if (r < 0)
        return r;
    if (strv_contains(n->off, name))
        return 0;
    if (!yaml_get(services.node, name))
        return needed ? fail_missing(at, n, name) : 0;
    if (str_equal(name, s->name))
        return place_fail(at, EINVAL, "compose.dependency-cycle", "the service %s depends on itself", name);
    if (cJSON_GetObjectItemCaseSensitive(s->depends_conditions, name))
        return place_fail(at, EINVAL, "compose.bad-value", "%s is there twice; remove one", name);
    r = put_text(s->depends_conditions, name, condition);
    if (r >= 0 && restarts)
        r = strv_add(&s->restarts_with, name);
    return r < 0 ? r : strv_add(&s->depends_on, name);
}

int normalise_depends_on(const Place *at, const Normaliser *n, ComposeService *s)
{
    for (size_t i = 0; at->node && i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        const char *name = item.key;
        int r = name ? 0 : take_text(&item, &name);

        if (r >= 0)
            r = add_dependency(&item, n, s, name);
        if (r < 0)
            return r;
    }
    if (s->depends_on)
        strv_sort(s->depends_on);
    members_sort(s->depends_conditions);
    return 0;
}
