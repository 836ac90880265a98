/* SPDX-License-Identifier: MIT */
/* Puts descriptions for libpod together. What podman-compose says for every container is said here, too. */
#include "compose/spec/spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "compose/plan/plan.h"
#include "compose/spec/spec-keys.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* What podman-compose of Debian 12 gives every container. */
static int add_labels(const SpecService *r)
{
    const ComposeService *s = r->service;
    cJSON *labels = spec_object(r->out, "labels");
    _cleanup_(freep) char *file = str_format("%s/%s.yml", r->options->folder ? r->options->folder : "", s->name);
    const char *const pairs[][2] = {
        { LABEL_SERVICE, s->name },
        { LABEL_HASH, *s->config_hash ? s->config_hash : NULL },
        { LABEL_VERSION, r->options->version },
        { "io.podman.compose.config-hash", "123" },
        { "io.podman.compose.project", r->project->name },
        { "io.podman.compose.version", "0.0.1" },
        { "com.docker.compose.project", r->project->name },
        { "com.docker.compose.project.working_dir", r->options->folder },
        { "com.docker.compose.project.config_files", file },
        { "com.docker.compose.container-number", "1" },
        { "com.docker.compose.service", s->name },
    };
    int e = labels && file ? 0 : -ENOMEM;

    for (size_t i = 0; e == 0 && i < ELEMENTSOF(pairs); i++)
        e = json_add_string(labels, pairs[i][0], pairs[i][1]);
    return e;
}

/* What `podman run` says when it is asked nothing. */
static int add_usual(const SpecService *r)
{
    cJSON *out = r->out;
    _cleanup_(freep) char *grace = str_format("%u", r->service->stop_grace_seconds);
    int e = grace ? json_add_string(out, "systemd", "true") : -ENOMEM;

    e = e < 0 ? e : json_add_string(out, "sdnotifyMode", "container");
    e = e < 0 ? e : json_add_bool(out, "httpproxy", true);
    if (e == 0 && !cJSON_HasObjectItem(out, "stop_timeout"))
        e = spec_add_number(out, "stop_timeout", grace);
    if (e == 0 && !cJSON_HasObjectItem(out, "restart_policy"))
        e = json_add_string(out, "restart_policy", r->service->restart);
    return e;
}

static int add_keys(const SpecService *r)
{
    const cJSON *member, *late = cJSON_GetObjectItemCaseSensitive(r->service->config, "read_only");
    int e = 0;

    cJSON_ArrayForEach(member, r->service->config) {
        const ComposeKey *k = compose_service_key(member->string);

        if (e < 0)
            return e;
        if (!k || k->unsupported)
            return spec_unsupported(r, member->string, "it is not among the keys that this box knows");
        if (k->spec && member != late)
            e = k->spec(r, k, member);
    }
    /* it looks at the mounts */
    return e < 0 || !late ? e : spec_read_only(r, compose_service_key("read_only"), late);
}

int compose_spec(const ComposeProject *p, const ComposeService *s, const SpecOptions *o, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *out = cJSON_CreateObject();
    const SpecService r = { p, s, out, o, err };
    int e;

    if (!out)
        return -ENOMEM;
    if (str_empty(o->image))
        return error_set_at(err, ENOENT, "spec.no-image", NULL, s->line, s->name,
                            "there is no pulled image to run service \"%s\" from; pull it first", s->name);
    e = json_add_string(out, "name", s->container_name);
    e = e < 0 ? e : json_add_string(out, "image", o->image);
    if (e == 0 && s->environment && s->environment->child)
        e = json_add_item(out, "env", cJSON_Duplicate(s->environment, true));
    e = e < 0 ? e : add_keys(&r);
    e = e < 0 ? e : add_usual(&r);
    e = e < 0 ? e : add_labels(&r);
    if (e < 0)
        return e;
    *ret = TAKE_PTR(out);
    return 0;
}

static int add_definition_labels(const ComposeProject *p, const cJSON *definition, cJSON *out, const char *key)
{
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(definition, "labels"), *label;
    cJSON *labels = cJSON_AddObjectToObject(out, key);
    int e = labels ? json_add_string(labels, "io.podman.compose.project", p->name) : -ENOMEM;

    e = e < 0 ? e : json_add_string(labels, "com.docker.compose.project", p->name);
    cJSON_ArrayForEach(label, own) {
        e = e < 0 ? e : json_add_string(labels, label->string, cJSON_GetStringValue(label));
    }
    return e;
}

static int copy_map(const cJSON *definition, const char *key, cJSON *out, const char *as)
{
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(definition, key);

    return map ? json_add_item(out, as, cJSON_Duplicate(map, true)) : 0;
}

/* "10.1.0.0/24": its first and its last address. IPv4 only. */
static int add_lease_range(cJSON *subnet, const char *range)
{
    _cleanup_(freep) char *copy = strdup(range);
    char *slash = copy ? strchr(copy, '/') : NULL;
    char first[INET_ADDRSTRLEN], last[INET_ADDRSTRLEN];
    struct in_addr address;
    uint64_t bits;
    uint32_t mask;
    cJSON *out;

    if (!copy)
        return -ENOMEM;
    if (!slash)
        return -EINVAL;
    *slash = '\0';
    if (inet_pton(AF_INET, copy, &address) != 1 || str_to_u64(slash + 1, 1, 30, &bits) < 0)
        return -EINVAL;
    mask = htonl(~0u << (32 - bits));
    address.s_addr = (address.s_addr & mask) | htonl(1);
    (void) inet_ntop(AF_INET, &address, first, sizeof(first));
    address.s_addr |= ~mask;
    (void) inet_ntop(AF_INET, &address, last, sizeof(last));
    out = cJSON_AddObjectToObject(subnet, "lease_range");
    return !out || json_add_string(out, "start_ip", first) < 0 ? -ENOMEM : json_add_string(out, "end_ip", last);
}

static int unsupported_network(const cJSON *definition, const char *key, const char *why, Error *err)
{
    _cleanup_(freep) char *path = str_format("networks.%s.%s", definition->string, key);

    return path ? error_set_at(err, ENOTSUP, "spec.unsupported", NULL, 0, path, "podman cannot be told \"%s\": %s", key,
                               why)
                : -ENOMEM;
}

static int add_subnets(const cJSON *definition, cJSON *out, Error *err)
{
    const cJSON *ipam = cJSON_GetObjectItemCaseSensitive(definition, "ipam"), *pool;
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(ipam, "config");
    const char *driver = json_string(ipam, "driver");
    cJSON *subnets = NULL;

    if (!str_empty(driver) && !str_equal(driver, "default") && !str_equal(driver, "host-local"))
        return unsupported_network(definition, "ipam.driver", "addresses are given by podman itself", err);
    cJSON_ArrayForEach(pool, config) {
        const char *range = json_string(pool, "ip_range");
        cJSON *subnet = cJSON_CreateObject();
        int e;

        if (str_empty(json_string(pool, "subnet"))) {
            cJSON_Delete(subnet);
            return unsupported_network(definition, "ipam.config", "a pool needs a subnet", err);
        }
        subnets = subnets ? subnets : cJSON_AddArrayToObject(out, "subnets");
        e = subnets && subnet ? json_append(subnets, subnet) : -ENOMEM;
        e = e < 0 ? e : json_add_string(subnet, "subnet", json_string(pool, "subnet"));
        e = e < 0 ? e : json_add_string(subnet, "gateway", json_string(pool, "gateway"));
        e = e < 0 || !range ? e : add_lease_range(subnet, range);
        if (e == -EINVAL)
            return error_set(err, EINVAL, "spec.bad-range",
                             "ip_range \"%.60s\" of network %s is no range of IPv4 addresses, like 10.1.0.0/24", range,
                             definition->string);
        if (e < 0)
            return e;
    }
    return 0;
}

int compose_spec_network(const ComposeProject *p, const cJSON *definition, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *out = cJSON_CreateObject();
    const char *driver = json_string(definition, "driver");
    int e = out ? json_add_string(out, "name", json_string(definition, "name")) : -ENOMEM;

    e = e < 0 ? e : json_add_string(out, "driver", driver ? driver : "bridge");
    e = e < 0 ? e : json_add_bool(out, "dns_enabled", true);
    if (e == 0 && json_bool(definition, "internal", false))
        e = json_add_bool(out, "internal", true);
    if (e == 0 && json_bool(definition, "enable_ipv6", false))
        e = json_add_bool(out, "ipv6_enabled", true);
    e = e < 0 ? e : copy_map(definition, "driver_opts", out, "options");
    e = e < 0 ? e : add_subnets(definition, out, err);
    e = e < 0 ? e : add_definition_labels(p, definition, out, "labels");
    if (e < 0)
        return e;
    *ret = TAKE_PTR(out);
    return 0;
}

int compose_spec_volume(const ComposeProject *p, const cJSON *definition, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *out = cJSON_CreateObject();
    int e = out ? json_add_string(out, "Name", json_string(definition, "name")) : -ENOMEM;

    (void) err;
    e = e < 0 ? e : json_add_string(out, "Driver", json_string(definition, "driver"));
    e = e < 0 ? e : copy_map(definition, "driver_opts", out, "Options");
    e = e < 0 ? e : add_definition_labels(p, definition, out, "Label");
    if (e < 0)
        return e;
    *ret = TAKE_PTR(out);
    return 0;
}
