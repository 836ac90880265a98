/* SPDX-License-Identifier: MIT */
/* Networks, addresses and ports. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "compose/spec/spec-keys.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static int add_static_ip(const cJSON *network, const char *key, cJSON *out)
{
    const char *address = json_string(network, key);
    cJSON *list = address ? spec_array(out, "static_ips") : NULL;

    if (!address)
        return 0;
    return list ? json_append(list, cJSON_CreateString(address)) : -ENOMEM;
}

static int attach(const SpecService *r, const cJSON *network, cJSON *all)
{
    const char *name = spec_real_name(r->project->networks, network->string);
    cJSON *out, *aliases;
    const cJSON *alias;
    int e;

    if (!name)
        return spec_unsupported(r, "networks", "a network is not declared");
    out = cJSON_AddObjectToObject(all, name);
    aliases = out ? cJSON_AddArrayToObject(out, "aliases") : NULL;
    e = aliases ? json_append(aliases, cJSON_CreateString(r->service->name)) : -ENOMEM;
    cJSON_ArrayForEach(alias, cJSON_GetObjectItemCaseSensitive(network, "aliases")) {
        if (e == 0 && cJSON_IsString(alias) && !str_equal(alias->valuestring, r->service->name))
            e = json_append(aliases, cJSON_CreateString(alias->valuestring));
    }
    e = e < 0 ? e : add_static_ip(network, "ipv4_address", out);
    e = e < 0 ? e : add_static_ip(network, "ipv6_address", out);
    return e < 0 ? e : json_add_string(out, "static_mac", json_string(network, "mac_address"));
}

int spec_networks(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const cJSON *network;
    cJSON *mode, *all;

    if (cJSON_HasObjectItem(r->service->config, "network_mode"))
        return 0;
    mode = spec_object(r->out, "netns");
    all = spec_object(r->out, k->member);
    if (!mode || !all || json_add_string(mode, "nsmode", "bridge") < 0)
        return -ENOMEM;
    cJSON_ArrayForEach(network, value) {
        int e = attach(r, network, all);

        if (e < 0)
            return e;
    }
    return 0;
}

/* Without brackets; every address is no address. */
static int add_host_ip(cJSON *out, const char *address)
{
    size_t n = strlen(address);
    bool brackets = n > 2 && address[0] == '[' && address[n - 1] == ']';
    _cleanup_(freep) char *bare = strndup(address + brackets, n - (brackets ? 2 : 0));

    if (!bare)
        return -ENOMEM;
    return !*bare || strcmp(bare, "0.0.0.0") == 0 ? 0 : json_add_string(out, "host_ip", bare);
}

int spec_ports(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    cJSON *list = spec_array(r->out, k->member);
    const cJSON *port;

    cJSON_ArrayForEach(port, value) {
        const char *address = json_string(port, "address"), *host = json_string(port, "host");
        const char *protocol = json_string(port, "protocol");
        cJSON *out = cJSON_CreateObject();
        int e = list && out ? json_append(list, out) : -ENOMEM;

        e = e < 0 ? e : add_host_ip(out, address ? address : "");
        e = e < 0 ? e : spec_add_number(out, "container_port", json_string(port, "container"));
        if (e == 0 && !str_empty(host))
            e = spec_add_number(out, "host_port", host);
        e = e < 0 ? e : json_add_string(out, "protocol", str_empty(protocol) ? "tcp" : protocol);
        if (e < 0)
            return e == -EINVAL ? spec_unsupported(r, k->key, "a port is no number") : e;
    }
    return list ? 0 : -ENOMEM;
}

/* "53/udp"; {"53": "tcp,udp"} */
int spec_expose(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    cJSON *map = spec_object(r->out, k->member);
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";
        size_t n = strcspn(text, "/");
        _cleanup_(freep) char *port = strndup(text, n);
        const char *before = port && map ? json_string(map, port) : NULL;
        _cleanup_(freep) char *protocols =
            str_format("%s%s%s", before ? before : "", before ? "," : "", text[n] ? text + n + 1 : "tcp");

        if (!port || !map || !protocols)
            return -ENOMEM;
        cJSON_DeleteItemFromObjectCaseSensitive(map, port);
        if (json_add_string(map, port, protocols) < 0)
            return -ENOMEM;
    }
    return map ? 0 : -ENOMEM;
}
