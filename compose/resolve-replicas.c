/* SPDX-License-Identifier: MIT */
#include "compose/resolve-replicas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define PORT_MAX 65535

static int copy_tree(const cJSON *from, cJSON **to)
{
    *to = from ? cJSON_Duplicate(from, true) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

static int copy_text(const char *from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

static int share_alias(ComposeService *s)
{
    cJSON *network;

    cJSON_ArrayForEach(network, cJSON_GetObjectItemCaseSensitive(s->config, "networks")) {
        cJSON *aliases = cJSON_GetObjectItemCaseSensitive(network, "aliases");
        int r;

        if (!aliases)
            aliases = put_array(network, "aliases");
        r = aliases ? append_text(aliases, s->replica_of) : -ENOMEM;
        if (r < 0)
            return r;
        set_normalise(aliases);
        members_sort(network);
    }
    return 0;
}

/* `to` is zeroed; whatever is in it is the caller's, also on failure. Volumes without a name have none yet. */
static int copy_service(const char *project, const ComposeService *from, unsigned number, ComposeService *to)
{
    to->line = from->line;
    to->stop_grace_seconds = from->stop_grace_seconds;
    to->replicas = 1;
    to->name = str_format("%s_%u", from->name, number);
    to->replica_of = strdup(from->name);
    to->container_name = str_format("%s_%s_%u", project, from->name, number);
    if (!to->name || !to->replica_of || !to->container_name || copy_text(from->image, &to->image) < 0 ||
        copy_text(from->pull_policy, &to->pull_policy) < 0 || copy_text(from->restart, &to->restart) < 0 ||
        copy_tree(from->environment, &to->environment) < 0 || copy_tree(from->config, &to->config) < 0 ||
        copy_tree(from->depends_conditions, &to->depends_conditions) < 0 ||
        copy_tree(from->healthcheck, &to->healthcheck) < 0 || strv_copy(from->depends_on, &to->depends_on) < 0 ||
        strv_copy(from->restarts_with, &to->restarts_with) < 0 || strv_copy(from->networks, &to->networks) < 0 ||
        strv_copy(from->bind_sources, &to->bind_sources) < 0 || strv_copy(from->volumes, &to->volumes) < 0 ||
        strv_copy(from->host_ports, &to->host_ports) < 0)
        return -ENOMEM;
    return share_alias(to);
}

/* --- what several containers cannot have in common --- */

static int fail_member(const Place *services, const ComposeService *s, const char *member, const char *message)
{
    Place service = place_member(services, s->name), at = place_member(&service, member);

    return place_fail(at.node ? &at : &service, EINVAL, "compose.replicas", "%s", message ? message : "");
}

static int check_name(const Place *services, const ComposeService *s)
{
    Place service = place_member(services, s->name), name = place_member(&service, "container_name");
    _cleanup_(freep) char *message = NULL;

    if (str_equal(s->name, SECBOX_SERVICE)) {
        message = str_format("the service %s holds the box's own connection to the cloud, so it runs once", s->name);
        return fail_member(services, s, "deploy", message);
    }
    if (!name.node || yaml_is_null(name.node))
        return 0;
    message =
        str_format("%u containers of the service %s cannot all be called %s; remove `container_name`, and they are "
                   "numbered",
                   s->replicas, s->name, s->container_name);
    return fail_member(services, s, "container_name", message);
}

static int check_addresses(const Place *services, const ComposeService *s)
{
    const cJSON *network;

    cJSON_ArrayForEach(network, cJSON_GetObjectItemCaseSensitive(s->config, "networks")) {
        static const char *const keys[] = { "ipv4_address", "ipv6_address", "mac_address" };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
            const char *address = json_string(network, keys[i]);
            _cleanup_(freep) char *message = NULL;

            if (!address)
                continue;
            message = str_format("%u containers of the service %s cannot all have the address %s; remove `%s`",
                                 s->replicas, s->name, address, keys[i]);
            return fail_member(services, s, "networks", message);
        }
    }
    return 0;
}

static size_t count_host_ports(const ComposeService *s)
{
    const cJSON *port;
    size_t n = 0;

    cJSON_ArrayForEach(port, cJSON_GetObjectItemCaseSensitive(s->config, "ports"))
        n += !str_empty(json_string(port, "host"));
    return n;
}

/* "127.0.0.1:8080-8081:80/udp", and what leaves the choice to podman: "127.0.0.1::80/udp". No range from the one port of several:
 * they would have to share it, or it would run into the next. */
static char *advise_ports(const ComposeService *s, const cJSON *port)
{
    const char *address = json_string(port, "address"), *container = json_string(port, "container");
    const char *protocol = json_string(port, "protocol");
    bool everywhere = str_empty(address), v6 = !everywhere && strchr(address, ':');
    _cleanup_(freep) char *front =
        everywhere ? strdup("") : str_format("%s%s%s:", v6 ? "[" : "", address, v6 ? "]" : "");
    _cleanup_(freep) char *back =
        str_equal(protocol, "tcp") ? strdup(container) : str_format("%s/%s", container, protocol);
    uint64_t first = 0, last;

    if (!front || !back || str_to_u64(json_string(port, "host"), 1, PORT_MAX, &first) < 0)
        return NULL;
    last = first + s->replicas - 1;
    if (last > PORT_MAX || count_host_ports(s) > 1)
        return str_format("let podman choose (\"%s%s%s\")", front, everywhere ? "" : ":", back);
    return str_format("write a range that has one for each (\"%s%llu-%llu:%s\"), or let podman choose (\"%s%s%s\")",
                      front, (unsigned long long) first, (unsigned long long) last, back, front, everywhere ? "" : ":",
                      back);
}

static int check_ports(const Place *services, const ComposeService *s)
{
    const cJSON *port;

    cJSON_ArrayForEach(port, cJSON_GetObjectItemCaseSensitive(s->config, "ports")) {
        const char *host = json_string(port, "host");
        _cleanup_(freep) char *advice = NULL, *message = NULL;

        if (str_empty(host) || cJSON_HasObjectItem(port, "up_to"))
            continue;
        advice = advise_ports(s, port);
        message = str_format("%u containers of the service %s cannot all have the port %s of the host; %s", s->replicas,
                             s->name, host, advice ? advice : "");
        return fail_member(services, s, "ports", message);
    }
    return 0;
}

static int check_common(const ComposeProject *p, const Place *services, const ComposeService *s, size_t total)
{
    _cleanup_(freep) char *message = NULL;
    int r = check_name(services, s);

    if (r >= 0)
        r = check_addresses(services, s);
    if (r >= 0)
        r = check_ports(services, s);
    for (unsigned k = 2; r >= 0 && k <= s->replicas; k++) {
        _cleanup_(freep) char *name = str_format("%s_%u", s->name, k);

        if (!name)
            return -ENOMEM;
        if (!compose_service_find(p, name))
            continue;
        message =
            str_format("the container number %u of the service %s goes by the name %s, and there is another service "
                       "of that name; rename one of them",
                       k, s->name, name);
        return fail_member(services, s, "deploy", message);
    }
    if (r < 0 || total <= COMPOSE_SERVICES_MAX)
        return r;
    message = str_format("with %u containers of the service %s there would be %zu; at most %d are accepted",
                         s->replicas, s->name, total, COMPOSE_SERVICES_MAX);
    return fail_member(services, s, "deploy", message);
}

/* --- what depends on it --- */

static int depend_on_all(const ComposeProject *p, ComposeService *s)
{
    size_t n = strv_length(s->depends_on);
    int r = 0;

    for (size_t i = 0; i < n; i++) {
        const ComposeService *on = compose_service_find(p, s->depends_on[i]);

        for (unsigned k = 2; on && r >= 0 && k <= on->replicas; k++) {
            _cleanup_(freep) char *name = str_format("%s_%u", on->name, k);
            bool restarts = strv_contains(s->restarts_with, on->name);

            r = name ? put_text(s->depends_conditions, name, json_string(s->depends_conditions, on->name)) : -ENOMEM;
            if (r >= 0)
                r = strv_add(&s->depends_on, name);
            if (r >= 0 && restarts)
                r = strv_add(&s->restarts_with, name);
        }
    }
    if (s->depends_on)
        strv_sort(s->depends_on);
    members_sort(s->depends_conditions);
    return r;
}

static int count_all(const ComposeProject *p, const Place *services, size_t *ret)
{
    int r = 0;

    *ret = p->n_services;
    for (size_t i = 0; r >= 0 && i < p->n_services; i++) {
        const ComposeService *s = &p->services[i];

        if (s->replicas < 2)
            continue;
        *ret += s->replicas - 1;
        r = check_common(p, services, s, *ret);
    }
    return r;
}

int resolve_replicas(ComposeProject *p, const Place *services)
{
    const size_t n = p->n_services;
    ComposeService *grown;
    size_t total;
    int r = count_all(p, services, &total);

    if (r < 0 || total == n)
        return r;
    grown = reallocarray(p->services, total, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    p->services = grown;
    memset(&grown[n], 0, (total - n) * sizeof(*grown));
    /* behind all others, so that those keep the ports of ranges that they have */
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 2; r >= 0 && k <= grown[i].replicas; k++)
            r = copy_service(p->name, &grown[i], k, &grown[p->n_services++]);
    for (size_t i = 0; r >= 0 && i < p->n_services; i++)
        r = depend_on_all(p, &grown[i]);
    return r;
}
