/* SPDX-License-Identifier: MIT */
/* Published ports: short and long form, ranges spread, one entry per port. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "compose/normalise/normalise.h"
#include "lib/base/strv.h"

#define PORT_MAX 65535
#define PORTS_PER_SERVICE_MAX 1024

typedef struct Range {
    uint64_t first, last; /* first 0: none given */
} Range;

typedef struct Port {
    char address[INET6_ADDRSTRLEN];
    Range host, container;
    char protocol[8];
} Port;

static int fail_port(const Place *at, const char *value, const char *why)
{
    return place_fail(at, EINVAL, "compose.bad-port",
                      "\"%s\": %s; write it like \"8080:80\" or \"127.0.0.1:8080:80/udp\"", value, why);
}

static int parse_range(const char *s, Range *ret)
{
    _cleanup_(freep) char *first = NULL;
    const char *dash = strchrnul(s, '-');
    Range range;

    first = strndup(s, (size_t) (dash - s));
    if (!first)
        return -ENOMEM;
    if (str_to_u64(first, 1, PORT_MAX, &range.first) < 0)
        return -EINVAL;
    range.last = range.first;
    if (*dash && str_to_u64(dash + 1, range.first, PORT_MAX, &range.last) < 0)
        return -EINVAL;
    *ret = range;
    return 0;
}

/* All of IPv4 is "", as podman does without an address; others in their shortest form. */
static int parse_address(const char *s, Port *port)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    int family = strchr(s, ':') ? AF_INET6 : AF_INET;

    if (inet_pton(family, s, bytes) != 1 || !inet_ntop(family, bytes, port->address, sizeof(port->address)))
        return -EINVAL;
    if (str_equal(port->address, "0.0.0.0"))
        port->address[0] = '\0';
    return 0;
}

static int parse_protocol(const char *s, Port *port)
{
    static const char *const known[] = { "tcp", "udp", "sctp" };

    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (strcasecmp(s, known[i]) == 0) {
            snprintf(port->protocol, sizeof(port->protocol), "%s", known[i]);
            return 0;
        }
    return -EINVAL;
}

/* With `any` the host's port is one of the range; resolve_ports() chooses it when it knows what all services take. */
static int emit_port(const Port *port, uint64_t i, bool any, ComposeService *s, cJSON *ports)
{
    cJSON *entry = cJSON_CreateObject();
    int r = json_append(ports, entry);

    if (r >= 0)
        r = put_text(entry, "address", port->address);
    if (r >= 0)
        r = port->host.first ? put_number(entry, "host", port->host.first + i) : put_text(entry, "host", "");
    if (r >= 0)
        r = put_number(entry, "container", port->container.first + i);
    if (r >= 0)
        r = put_text(entry, "protocol", port->protocol);
    if (r >= 0 && any)
        return put_number(entry, "up_to", port->host.last);
    if (r >= 0 && port->host.first)
        r = strv_addf(&s->host_ports, strchr(port->address, ':') ? "[%s]:%u/%s" : "%s:%u/%s", port->address,
                      (unsigned) (port->host.first + i), port->protocol);
    return r;
}

static int emit_ports(const Place *at, const char *value, const Port *port, ComposeService *s, cJSON *ports)
{
    uint64_t n = port->container.last - port->container.first + 1;
    uint64_t n_host = port->host.first ? port->host.last - port->host.first + 1 : n;

    if (n_host != n && n != 1)
        return fail_port(at, value, "both sides must have the same number of ports, or the container's side one");
    for (uint64_t i = 0; i < n; i++) {
        int r = emit_port(port, i, n_host != n, s, ports);

        if (r < 0)
            return r;
    }
    if (cJSON_GetArraySize(ports) > PORTS_PER_SERVICE_MAX)
        return place_fail(at, EMSGSIZE, "compose.bad-port", "more than %d ports in one service", PORTS_PER_SERVICE_MAX);
    return 0;
}

/* Cuts the text behind the last `c` off and returns it, or NULL. */
static char *cut_last(char *s, char c)
{
    char *p = strrchr(s, c);

    if (!p)
        return NULL;
    *p = '\0';
    return p + 1;
}

static int parse_short_host(const Place *at, const char *value, char *rest, Port *port)
{
    char *host = cut_last(rest, ':');
    const char *address = host ? rest : "";
    size_t len;

    if (!host)
        host = rest;
    if (*host && parse_range(host, &port->host) < 0)
        return fail_port(at, value, "the host's port is no number from 1 to 65535 and no range");
    len = strlen(address);
    if (len > 1 && address[0] == '[' && address[len - 1] == ']') {
        rest[len - 1] = '\0';
        address++;
    }
    if (*address && parse_address(address, port) < 0)
        return fail_port(at, value, "what stands before the ports is no IP address");
    if (!*host && !*address)
        return fail_port(at, value, "a part before the colon is empty");
    return 0;
}

/* The text, a copy of it without "/udp", and what stands there: NULL when nothing does. */
static int take_port(const Place *at, const char **ret, char **ret_copy, char **ret_protocol)
{
    int r = take_text(at, ret);

    if (r < 0)
        return r;
    *ret_copy = strdup(*ret);
    if (!*ret_copy)
        return -ENOMEM;
    *ret_protocol = cut_last(*ret_copy, '/');
    return 0;
}

static int take_short(const Place *at, ComposeService *s, cJSON *ports)
{
    _cleanup_(freep) char *copy = NULL;
    const char *value = NULL, *container;
    Port port = { .protocol = "tcp" };
    char *tail = NULL;
    int r = take_port(at, &value, &copy, &tail);

    if (r < 0)
        return r;
    if (tail && parse_protocol(tail, &port) < 0)
        return fail_port(at, value, "the protocol is not tcp, udp or sctp");
    tail = cut_last(copy, ':');
    container = tail ? tail : copy;
    if (parse_range(container, &port.container) < 0)
        return fail_port(at, value, "the container's port is no number from 1 to 65535 and no range");
    if (tail) {
        r = parse_short_host(at, value, copy, &port);
        if (r < 0)
            return r;
    }
    return emit_ports(at, value, &port, s, ports);
}

/* The text of a member, or NULL. */
static int optional_text(const Place *at, const char *key, const char **ret)
{
    Place member = place_member(at, key);

    return member.node ? take_text(&member, ret) : 0;
}

static int take_long(const Place *at, ComposeService *s, cJSON *ports)
{
    const char *target = NULL, *published = NULL, *host_ip = NULL, *protocol = "tcp", *mode = NULL;
    Port port = {};
    int r = optional_text(at, "target", &target);

    if (r >= 0)
        r = optional_text(at, "published", &published);
    if (r >= 0)
        r = optional_text(at, "host_ip", &host_ip);
    if (r >= 0)
        r = optional_text(at, "protocol", &protocol);
    if (r >= 0)
        r = optional_text(at, "mode", &mode);
    if (r < 0)
        return r;
    if (!target || parse_range(target, &port.container) < 0)
        return fail_port(at, target ? target : "", "`target` is no number from 1 to 65535");
    if (published && *published && parse_range(published, &port.host) < 0)
        return fail_port(at, published, "`published` is no number from 1 to 65535");
    if (host_ip && *host_ip && parse_address(host_ip, &port) < 0)
        return fail_port(at, host_ip, "`host_ip` is no IP address");
    if (parse_protocol(protocol, &port) < 0)
        return fail_port(at, protocol, "the protocol is not tcp, udp or sctp");
    if (mode && !str_equal(mode, "host") && !str_equal(mode, "ingress"))
        return fail_port(at, mode, "`mode` is not host or ingress");
    return emit_ports(at, target, &port, s, ports);
}

static int take_expose(const Place *at, cJSON *array)
{
    _cleanup_(freep) char *copy = NULL;
    const char *value = NULL;
    Port port = { .protocol = "tcp" };
    char *tail = NULL;
    int r = take_port(at, &value, &copy, &tail);

    if (r < 0)
        return r;
    if ((tail && parse_protocol(tail, &port) < 0) || parse_range(copy, &port.container) < 0)
        return place_fail(at, EINVAL, "compose.bad-port",
                          "\"%s\" is no port; write it like \"80\", \"53/udp\" or \"3000-3005\"", value);
    for (uint64_t i = port.container.first; i <= port.container.last; i++) {
        _cleanup_(freep) char *text = str_format("%u/%s", (unsigned) i, port.protocol);

        if (!text || append_text(array, text) < 0)
            return -ENOMEM;
    }
    if (cJSON_GetArraySize(array) > PORTS_PER_SERVICE_MAX)
        return place_fail(at, EMSGSIZE, "compose.bad-port", "more than %d ports in one service", PORTS_PER_SERVICE_MAX);
    return 0;
}

int normalise_expose(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *array = put_array(s->config, at->key);
    int r = array ? 0 : -ENOMEM;

    (void) n;
    for (size_t i = 0; r >= 0 && i < at->node->n_items; i++) {
        Place item = place_child(at, i);

        r = take_expose(&item, array);
    }
    if (r >= 0)
        set_normalise(array);
    return r;
}

int normalise_ports(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *ports = put_array(s->config, "ports");

    (void) n;
    if (!ports)
        return -ENOMEM;
    for (size_t i = 0; i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        int r = item.node->type == YAML_MAPPING ? take_long(&item, s, ports) : take_short(&item, s, ports);

        if (r < 0)
            return r;
    }
    return 0;
}
