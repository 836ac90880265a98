/* SPDX-License-Identifier: MIT */
#include "compose/resolve-links.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

static int depend_on(ComposeService *s, const char *name)
{
    int r;

    if (strv_contains(s->depends_on, name))
        return 0;
    r = strv_add(&s->depends_on, name);
    if (r >= 0)
        r = put_text(s->depends_conditions, name, "service_started");
    strv_sort(s->depends_on);
    members_sort(s->depends_conditions);
    return r;
}

static int add_alias(cJSON *attachment, const char *alias)
{
    cJSON *aliases = cJSON_GetObjectItemCaseSensitive(attachment, "aliases");
    int r;

    if (!aliases)
        aliases = put_array(attachment, "aliases");
    r = aliases ? append_text(aliases, alias) : -ENOMEM;
    if (r < 0)
        return r;
    set_normalise(aliases);
    members_sort(attachment);
    return 0;
}

/* 1 when there is a network that both are on. */
static int name_on_networks(const ComposeService *s, const ComposeService *other, const char *alias)
{
    cJSON *networks = cJSON_GetObjectItemCaseSensitive(other->config, "networks"), *attachment;
    int common = 0;

    cJSON_ArrayForEach(attachment, networks) {
        int r;

        if (!strv_contains(s->networks, attachment->string))
            continue;
        common = 1;
        r = str_equal(alias, other->name) ? 0 : add_alias(attachment, alias);
        if (r < 0)
            return r;
    }
    return common;
}

static int add_link(ComposeProject *p, const Normaliser *n, ComposeService *s, const Place *at)
{
    const char *text = NULL, *alias;
    _cleanup_(freep) char *name = NULL;
    const ComposeService *other;
    int r = take_text(at, &text);

    if (r < 0)
        return r;
    name = strndup(text, strcspn(text, ":"));
    if (!name)
        return -ENOMEM;
    alias = text[strlen(name)] ? text + strlen(name) + 1 : name;
    if (strv_contains(n->off, name))
        return 0;
    other = compose_service_find(p, name);
    if (!other)
        return place_fail(at, EINVAL, "compose.missing-dependency", "there is no service %s in the file", name);
    if (other == s)
        return place_fail(at, EINVAL, "compose.dependency-cycle", "the service %s is linked to itself", name);
    if (!compose_name_is_valid(alias))
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is not SERVICE or SERVICE:NAME", text);
    if (compose_service_find(p, alias) && !str_equal(alias, name))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "%s is a service of its own, so no other one can have that name on a network", alias);
    r = name_on_networks(s, other, alias);
    if (r == 0)
        return place_fail(at, EINVAL, "compose.network-mode", "the services %s and %s have no network in common",
                          s->name, name);
    return r < 0 ? r : depend_on(s, name);
}

int resolve_links(ComposeProject *p, const Normaliser *n, const Place *services)
{
    int r = 0;

    for (size_t i = 0; i < p->n_services; i++) {
        Place service = place_member(services, p->services[i].name), links = place_member(&service, "links");

        for (size_t k = 0; r >= 0 && links.node && k < links.node->n_items; k++) {
            Place item = place_child(&links, k);

            r = add_link(p, n, &p->services[i], &item);
        }
    }
    return r;
}
