/* SPDX-License-Identifier: MIT */
#include "compose/resolve-ports.h"

#include <errno.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

typedef struct Claims {
    Map *exact;     /* "ADDRESS:PORT/PROTO" → service */
    Map *by_family; /* "[]:PORT/PROTO" (IPv6) or ":PORT/PROTO" → the first service on it, whatever its address */
    const Place *services;
} Claims;

static int fail_port(const Claims *c, const ComposeService *s, const char *id, const char *message)
{
    Place service = place_member(c->services, compose_declared_name(s)), at = place_member(&service, "ports");

    return place_fail(&at, EINVAL, id, "%s", message);
}

static int fail_taken(const Claims *c, const ComposeService *s, const ComposeService *other, const char *port)
{
    _cleanup_(freep) char *message = NULL;

    port += *port == ':';
    if (s == other)
        message = str_format("the port %s of the host is taken twice", port);
    else
        message = str_format("the port %s of the host is taken by the service %s, too", port, other->name);
    return fail_port(c, s, "compose.duplicate-port", message ? message : "");
}

/* Who has the port at this address, or at all addresses of its family. */
static int find_owner(const Claims *c, const char *port, char **ret_family, ComposeService **ret)
{
    bool v6 = *port == '[';
    const char *tail = strrchr(port, ':');
    bool every_address = *port == ':' || str_starts(port, "[::]:");
    _cleanup_(freep) char *wildcard = str_format("%s%s", v6 ? "[::]" : "", tail);
    _cleanup_(freep) char *family = str_format("%s%s", v6 ? "[]" : "", tail);

    if (!wildcard || !family)
        return -ENOMEM;
    *ret = map_get(c->exact, port);
    if (!*ret)
        *ret = every_address ? map_get(c->by_family, family) : map_get(c->exact, wildcard);
    *ret_family = TAKE_PTR(family);
    return 0;
}

static int claim(Claims *c, ComposeService *s, const char *port, bool *ret_taken, ComposeService **ret_owner)
{
    _cleanup_(freep) char *family = NULL;
    int r = find_owner(c, port, &family, ret_owner);

    if (r < 0)
        return r;
    *ret_taken = *ret_owner != NULL;
    if (*ret_taken)
        return 0;
    r = map_put(c->exact, port, s);
    return r < 0 ? r : map_put(c->by_family, family, s);
}

static int claim_fixed(Claims *c, ComposeService *s)
{
    for (size_t i = 0; s->host_ports && s->host_ports[i]; i++) {
        ComposeService *owner = NULL;
        bool taken = false;
        int r = claim(c, s, s->host_ports[i], &taken, &owner);

        if (r < 0)
            return r;
        if (taken)
            return fail_taken(c, s, owner, s->host_ports[i]);
    }
    return 0;
}

static int choose(Claims *c, ComposeService *s, cJSON *entry, uint64_t first, uint64_t last)
{
    const char *address = json_string(entry, "address"), *protocol = json_string(entry, "protocol");
    _cleanup_(freep) char *message = NULL;

    for (uint64_t port = first; port <= last; port++) {
        _cleanup_(freep) char *text =
            str_format(strchr(address, ':') ? "[%s]:%u/%s" : "%s:%u/%s", address, (unsigned) port, protocol);
        _cleanup_(freep) char *number = str_format("%u", (unsigned) port);
        ComposeService *owner = NULL;
        bool taken = true;
        int r = text && number ? claim(c, s, text, &taken, &owner) : -ENOMEM;

        if (r < 0)
            return r;
        if (taken)
            continue;
        if (!cJSON_SetValuestring(cJSON_GetObjectItemCaseSensitive(entry, "host"), number))
            return -ENOMEM;
        return strv_add(&s->host_ports, text);
    }
    if (s->replica_of)
        message =
            str_format("the host's ports from %u to %u are too few: each container of the service %s takes one, and "
                       "other entries of the file may, too",
                       (unsigned) first, (unsigned) last, s->replica_of);
    else
        message = str_format("every port of the host from %u to %u is taken by other entries of the file",
                             (unsigned) first, (unsigned) last);
    return fail_port(c, s, "compose.bad-port", message ? message : "");
}

static int claim_ranges(Claims *c, ComposeService *s)
{
    cJSON *entry;

    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(s->config, "ports")) {
        _cleanup_(cJSON_Deletep) cJSON *up_to = cJSON_DetachItemFromObjectCaseSensitive(entry, "up_to");
        uint64_t first = 0, last = 0;
        int r;

        if (!up_to)
            continue;
        if (str_to_u64(json_string(entry, "host"), 1, 65535, &first) < 0 ||
            str_to_u64(cJSON_GetStringValue(up_to), 1, 65535, &last) < 0)
            return -EINVAL;
        r = choose(c, s, entry, first, last);
        if (r < 0)
            return r;
    }
    return 0;
}

int resolve_ports(ComposeProject *p, const Place *services)
{
    _cleanup_(map_freep) Map *exact = map_new(NULL);
    _cleanup_(map_freep) Map *by_family = map_new(NULL);
    Claims c = { exact, by_family, services };
    int r = exact && by_family ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < p->n_services; i++)
        r = claim_fixed(&c, &p->services[i]);
    for (size_t i = 0; r >= 0 && i < p->n_services; i++)
        r = claim_ranges(&c, &p->services[i]);
    return r;
}
