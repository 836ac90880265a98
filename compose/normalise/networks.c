/* SPDX-License-Identifier: MIT */
/* Networks that a service is on, and the definitions of networks and volumes. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/normalise/normalise.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* --- a service's networks --- */

static int take_address(const Place *at, const char *key, int family, cJSON *ret)
{
    Place address = place_member(at, key);
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *text = NULL;
    int r = address.node ? take_text(&address, &text) : 0;

    if (r < 0 || !text)
        return r;
    if (inet_pton(family, text, bytes) != 1)
        return place_fail(&address, EINVAL, "compose.bad-value", "\"%s\" is no address for `%s`", text, key);
    return put_text(ret, key, text);
}

/* 48 bits, written with colons, of one network card: the lowest bit of the first byte would make it a group's. */
static int take_mac(const Place *at, cJSON *ret)
{
    unsigned b[6] = {};
    char text[sizeof("00:00:00:00:00:00")];
    const char *value = NULL;
    int end = 0, r = take_text(at, &value);

    if (r < 0)
        return r;
    if (sscanf(value, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 ||
        end != (int) sizeof(text) - 1 || value[end] || strspn(value, "0123456789abcdefABCDEF:") != strlen(value) ||
        (b[0] & 1))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "\"%s\" is no address of a network card, like 02:42:ac:11:65:43", value);
    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", b[0] & 0xff, b[1] & 0xff, b[2] & 0xff, b[3] & 0xff,
             b[4] & 0xff, b[5] & 0xff);
    return put_text(ret, "mac_address", text);
}

int normalise_mac_address(const Place *at, ComposeService *s)
{
    cJSON *networks = cJSON_GetObjectItemCaseSensitive(s->config, "networks");

    if (cJSON_GetArraySize(networks) != 1)
        return place_fail(at, EINVAL, "compose.network-mode",
                          networks ? "the service has several networks: write `mac_address` under one of them"
                                   : "a service without networks of its own has no `mac_address`");
    if (cJSON_HasObjectItem(networks->child, "mac_address"))
        return place_fail(at, EINVAL, "compose.bad-value", "its network says `mac_address`, too; remove one of them");
    return take_mac(at, networks->child);
}

static int take_attachment(const Place *at, cJSON *ret)
{
    Place aliases = place_member(at, "aliases"), mac = place_member(at, "mac_address");
    int r = 0;

    if (aliases.node && aliases.node->n_items > 0) {
        cJSON *list = put_array(ret, "aliases");

        r = list ? take_texts(&aliases, list) : -ENOMEM;
        if (r >= 0)
            set_normalise(list);
    }
    r = r < 0 ? r : take_address(at, "ipv4_address", AF_INET, ret);
    r = r < 0 ? r : take_address(at, "ipv6_address", AF_INET6, ret);
    return r < 0 || !mac.node || yaml_is_null(mac.node) ? r : take_mac(&mac, ret);
}

static int add_network(const Place *at, const Normaliser *n, ComposeService *s, cJSON *networks, const char *name)
{
    const YamlNode *declared = yaml_get(n->root, "networks");
    cJSON *attachment;
    int r;

    if (!str_equal(name, "default") && !yaml_get(declared, name))
        return place_fail(at, EINVAL, "compose.missing-network",
                          "the network %s is not under the top-level `networks`; declare it there", name);
    if (cJSON_GetObjectItemCaseSensitive(networks, name))
        return place_fail(at, EINVAL, "compose.bad-value", "%s is there twice; remove one", name);
    attachment = put_object(networks, name);
    if (!attachment)
        return -ENOMEM;
    r = strv_add(&s->networks, name);
    return r < 0 ? r : take_attachment(at, attachment);
}

int normalise_networks(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *networks;
    int r;

    if (cJSON_HasObjectItem(s->config, "network_mode"))
        return 0;
    networks = put_object(s->config, "networks");
    r = networks ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && at->node && i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        const char *name = item.key;

        if (!name)
            r = take_text(&item, &name);
        if (r >= 0)
            r = add_network(&item, n, s, networks, name);
    }
    if (r < 0)
        return r;
    if (!networks->child) {
        if (!put_object(networks, "default"))
            return -ENOMEM;
        return strv_add(&s->networks, "default");
    }
    members_sort(networks);
    strv_sort(s->networks);
    return 0;
}

/* The service that gives its container this name; NULL: none of the file does. */
static const char *service_of_container(const YamlNode *services, const char *container)
{
    for (size_t i = 0; services && i < services->n_items; i++) {
        const YamlNode *name = yaml_get(services->items[i], "container_name");

        if (name && str_equal(name->value, container))
            return services->items[i]->key;
    }
    return NULL;
}

int take_shared(const Place *at, const Normaliser *n, ComposeService *s, const char *mode)
{
    const YamlNode *services = yaml_get(n->root, "services");
    const char *name = strchr(mode, ':'), *owner;

    if (str_starts(mode, "container:")) {
        if (!compose_name_is_valid(name + 1))
            return place_fail(at, EINVAL, "compose.name", "\"%s\" is no name that podman takes", name + 1);
        owner = service_of_container(services, name + 1);
        if (owner)
            return place_fail(at, EINVAL, "compose.network-mode",
                              "the container %s is of the service %s of this file: write \"service:%s\"", name + 1,
                              owner, owner);
        return put_text(s->config, at->key, mode) < 0 ? -ENOMEM : 1;
    }
    if (!str_starts(mode, "service:"))
        return 0;
    if (str_equal(name + 1, s->name) || !yaml_get(services, name + 1))
        return place_fail(at, EINVAL, "compose.network-mode", "there is no other service %s in the file", name + 1);
    return put_text(s->config, at->key, mode) < 0 ? -ENOMEM : 1;
}

/* "bridge" is what a container has anyway. */
int normalise_network_mode(const Place *at, const Normaliser *n, ComposeService *s)
{
    const char *mode = NULL;
    int r = take_text(at, &mode);

    if (r < 0 || str_equal(mode, "bridge"))
        return r;
    r = take_shared(at, n, s, mode);
    if (r != 0)
        return r < 0 ? r : 0;
    if (!str_equal(mode, "host") && !str_equal(mode, "none"))
        return place_fail(at, EINVAL, "compose.network-mode",
                          "\"%s\" is not bridge, host, none, service:NAME or container:NAME", mode);
    return put_text(s->config, at->key, mode);
}

static int follow_owner(ComposeService *s, const char *mode)
{
    const char *owner;
    int r;

    if (!mode || !str_starts(mode, "service:"))
        return 0;
    owner = mode + strlen("service:");
    r = strv_contains(s->restarts_with, owner) ? 0 : strv_add(&s->restarts_with, owner);
    if (r < 0 || strv_contains(s->depends_on, owner))
        return r;
    r = strv_add(&s->depends_on, owner);
    if (r >= 0)
        r = put_text(s->depends_conditions, owner, "service_started");
    strv_sort(s->depends_on);
    members_sort(s->depends_conditions);
    return r;
}

int normalise_owners(ComposeService *s)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && compose_shared_keys[i]; i++)
        r = follow_owner(s, json_string(s->config, compose_shared_keys[i]));
    return r;
}

/* --- definitions --- */

/* external: true, or the old {name: …}. */
static int take_external(const Place *at, bool *ret, const char **ret_name)
{
    Place external = place_member(at, "external"), name;

    if (!external.node)
        return 0;
    if (external.node->type == YAML_SCALAR)
        return take_bool(&external, ret);
    *ret = true;
    name = place_member(&external, "name");
    return name.node ? take_text(&name, ret_name) : 0;
}

static int put_real_name(const Place *at, const Normaliser *n, cJSON *definition)
{
    _cleanup_(freep) char *made = NULL;
    Place name = place_member(at, "name");
    const char *given = NULL;
    bool external = false;
    int r = take_external(at, &external, &given);

    if (r >= 0 && name.node)
        r = take_text(&name, &given);
    if (r < 0)
        return r;
    if (given && !compose_name_is_valid(given))
        return place_fail(&name, EINVAL, "compose.name", "\"%s\" is no name that podman takes", given);
    if (external && at->node->n_items > (name.node ? 2 : 1))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "what is `external` has its settings elsewhere; only `name` fits");
    if (!given && !external) {
        made = str_format("%s_%s", n->options->project, at->key);
        if (!made)
            return -ENOMEM;
    }
    r = put_text(definition, "name", given ? given : made ? made : at->key);
    return r < 0 ? r : json_add_bool(definition, "external", external);
}

static int put_driver(const Place *at, const char *usual, cJSON *definition)
{
    Place driver = place_member(at, "driver");
    const char *text = NULL;
    int r;

    if (!driver.node || yaml_is_null(driver.node))
        return 0;
    r = take_text(&driver, &text);
    if (r < 0 || !*text || str_equal(text, usual))
        return r;
    return put_text(definition, "driver", text);
}

static int put_map(const Place *at, const char *key, cJSON *definition)
{
    Place member = place_member(at, key);
    cJSON *object;

    if (!member.node || member.node->n_items == 0)
        return 0;
    object = put_object(definition, key);
    return object ? take_map(&member, object) : -ENOMEM;
}

static int put_flag(const Place *at, const char *key, cJSON *definition)
{
    Place member = place_member(at, key);
    bool value = false;
    int r = member.node ? take_bool(&member, &value) : 0;

    return r < 0 || !value ? r : json_add_bool(definition, key, true);
}

static int put_pool(const Place *at, cJSON *pools)
{
    static const char *const keys[] = { "subnet", "gateway", "ip_range" };
    cJSON *pool = cJSON_CreateObject();
    int r = json_append(pools, pool);

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(keys); i++) {
        Place member = place_member(at, keys[i]);
        const char *text = NULL;

        if (!member.node)
            continue;
        r = take_text(&member, &text);
        if (r >= 0)
            r = put_text(pool, keys[i], text);
    }
    return r;
}

static int put_ipam(const Place *at, cJSON *definition)
{
    Place ipam_at = place_member(at, "ipam"), config;
    cJSON *ipam, *pools;
    int r;

    if (!ipam_at.node || ipam_at.node->n_items == 0)
        return 0;
    ipam = put_object(definition, "ipam");
    if (!ipam)
        return -ENOMEM;
    r = put_driver(&ipam_at, "default", ipam);
    config = place_member(&ipam_at, "config");
    if (r < 0 || !config.node)
        return r;
    pools = put_array(ipam, "config");
    if (!pools)
        return -ENOMEM;
    for (size_t i = 0; r >= 0 && i < config.node->n_items; i++) {
        Place item = place_child(&config, i);

        r = put_pool(&item, pools);
    }
    return r;
}

static int put_network(const Place *at, const Normaliser *n, cJSON *networks)
{
    cJSON *definition = put_object(networks, at->key);
    int r = definition ? put_real_name(at, n, definition) : -ENOMEM;

    if (r >= 0)
        r = put_driver(at, "bridge", definition);
    if (r >= 0 &&
        (str_equal(json_string(definition, "driver"), "host") || str_equal(json_string(definition, "driver"), "none")))
        return place_fail(at, EINVAL, "compose.network-mode", "podman-compose 1.0.3 cannot use the network driver %s",
                          json_string(definition, "driver"));
    if (r >= 0)
        r = put_map(at, "driver_opts", definition);
    if (r >= 0)
        r = put_flag(at, "internal", definition);
    if (r >= 0)
        r = put_ipam(at, definition);
    if (r >= 0)
        r = put_map(at, "labels", definition);
    return r < 0 ? r : put_flag(at, "enable_ipv6", definition);
}

static int put_volume(const Place *at, const Normaliser *n, cJSON *volumes)
{
    cJSON *definition = put_object(volumes, at->key);
    int r = definition ? put_real_name(at, n, definition) : -ENOMEM;

    if (r >= 0)
        r = put_driver(at, "local", definition);
    if (r >= 0)
        r = put_map(at, "driver_opts", definition);
    return r < 0 ? r : put_map(at, "labels", definition);
}

static int each_definition(const Place *top, const Normaliser *n, const char *section, cJSON *ret,
                           int (*put)(const Place *, const Normaliser *, cJSON *))
{
    Place at = place_member(top, section);
    int r = 0;

    for (size_t i = 0; r >= 0 && at.node && i < at.node->n_items; i++) {
        Place child = place_child(&at, i);

        r = put(&child, n, ret);
    }
    return r;
}

static int put_default_network(const Normaliser *n, ComposeProject *p)
{
    _cleanup_(freep) char *name = NULL;
    cJSON *definition;
    int r;

    if (cJSON_GetObjectItemCaseSensitive(p->networks, "default"))
        return 0;
    name = str_format("%s_default", n->options->project);
    definition = name ? put_object(p->networks, "default") : NULL;
    if (!definition)
        return -ENOMEM;
    r = put_text(definition, "name", name);
    return r < 0 ? r : json_add_bool(definition, "external", false);
}

int normalise_definitions(const Place *top, const Normaliser *n, ComposeProject *p)
{
    int r = each_definition(top, n, "networks", p->networks, put_network);

    if (r >= 0)
        r = put_default_network(n, p);
    if (r >= 0)
        r = each_definition(top, n, "volumes", p->volumes, put_volume);
    if (r < 0)
        return r;
    members_sort(p->networks);
    members_sort(p->volumes);
    return 0;
}
