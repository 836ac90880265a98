/* SPDX-License-Identifier: MIT */
/* A table says which keys are not merged as their shape would have it. */
#include "compose/gather/merge.h"

#include <errno.h>
#include <string.h>

#include "compose/gather/tree.h"
#include "lib/base/strv.h"

typedef int (*merge_t)(YamlNode *base, const YamlNode *over, const char *at);
/* What an entry of a list is about: a new string; two of one name are one. */
typedef char *(*entry_name_t)(const YamlNode *entry);

typedef struct MergeRule {
    const char *path; /* * stands for one name, with whatever dots */
    merge_t merge;
    entry_name_t name; /* of a list whose entries are replaced by name */
} MergeRule;

static bool path_matches(const char *pattern, const char *path)
{
    while (*pattern) {
        if (*pattern == '*') {
            pattern++;
            path += strcspn(path, ".");
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

/* The node itself stays where it is. */
static int replace(YamlNode *base, const YamlNode *over, const char *at _unused_)
{
    _cleanup_(yaml_node_freep) YamlNode *copy = yaml_node_copy(over);
    YamlNode old = *base;

    if (!copy)
        return -ENOMEM;
    *base = *copy;
    base->key = old.key;
    base->key_line = copy->key_line ? copy->key_line : old.key_line;
    base->position = old.position;
    old.key = copy->key; /* freed with it */
    *copy = old;
    return 0;
}

/* A list of "KEY=value" or "KEY", or one text, as a mapping. */
static int to_mapping(YamlNode *node)
{
    _cleanup_(yaml_node_freep) YamlNode *map = NULL;
    int r = 0;

    if (node->type != YAML_SEQUENCE)
        return 0;
    map = tree_new(YAML_MAPPING, NULL, node);
    for (size_t i = 0; map && r == 0 && i < node->n_items; i++) {
        const char *text = node->items[i]->value ? node->items[i]->value : "", *value = strchr(text, '=');
        _cleanup_(freep) char *key = value ? strndup(text, (size_t) (value - text)) : strdup(text);
        YamlNode *child = tree_new(YAML_SCALAR, value ? value + 1 : "", node->items[i]);

        if (child && !value)
            child->plain = true; /* null */
        r = key ? tree_set(map, key, child) : (yaml_node_free(child), -ENOMEM);
    }
    return !map ? -ENOMEM : r < 0 ? r : replace(node, map, "");
}

static int to_list(YamlNode *node)
{
    _cleanup_(yaml_node_freep) YamlNode *list = NULL;
    YamlNode *copy;

    if (node->type == YAML_SEQUENCE)
        return 0;
    list = tree_new(YAML_SEQUENCE, NULL, node);
    copy = yaml_node_copy(node);
    if (copy) {
        free(copy->key);
        copy->key = NULL;
    }
    if (!list || (node->type == YAML_SCALAR && yaml_is_null(node))) {
        yaml_node_free(copy);
        return list ? replace(node, list, "") : -ENOMEM;
    }
    return tree_add(list, copy) < 0 ? -ENOMEM : replace(node, list, "");
}

static int merge_mappings(YamlNode *base, const YamlNode *over, const char *at);

static int merge_or_replace(YamlNode *base, const YamlNode *over, const char *at)
{
    return base->type == YAML_MAPPING && over->type == YAML_MAPPING ? merge_mappings(base, over, at)
                                                                    : replace(base, over, at);
}

static int merge_as_mapping(YamlNode *base, const YamlNode *over, const char *at)
{
    _cleanup_(yaml_node_freep) YamlNode *copy = yaml_node_copy(over);
    int r = copy ? to_mapping(copy) : -ENOMEM;

    if (r == 0)
        r = to_mapping(base);
    return r < 0 ? r : merge_or_replace(base, copy, at);
}

/* A list of names and a mapping of them: each name with what the short form means. */
static int names_to_mapping(YamlNode *node, const char *member, const char *value)
{
    _cleanup_(yaml_node_freep) YamlNode *map = NULL;
    int r = 0;

    if (node->type != YAML_SEQUENCE)
        return 0;
    map = tree_new(YAML_MAPPING, NULL, node);
    for (size_t i = 0; map && r == 0 && i < node->n_items; i++) {
        const YamlNode *item = node->items[i];
        YamlNode *child = tree_new(member ? YAML_MAPPING : YAML_SCALAR, member ? NULL : "", item);

        if (child && !member)
            child->plain = true;
        if (child && member && tree_set(child, member, tree_new(YAML_SCALAR, value, item)) < 0)
            child = yaml_node_free(child);
        r = tree_set(map, item->value ? item->value : "", child);
    }
    return !map ? -ENOMEM : r < 0 ? r : replace(node, map, "");
}

static int merge_names(YamlNode *base, const YamlNode *over, const char *at, const char *member, const char *value)
{
    _cleanup_(yaml_node_freep) YamlNode *copy = yaml_node_copy(over);
    int r = copy ? names_to_mapping(copy, member, value) : -ENOMEM;

    if (r == 0)
        r = names_to_mapping(base, member, value);
    return r < 0 ? r : merge_or_replace(base, copy, at);
}

static int merge_depends_on(YamlNode *base, const YamlNode *over, const char *at)
{
    /* two lists stay one */
    return base->type == YAML_SEQUENCE && over->type == YAML_SEQUENCE
               ? -ENOTSUP
               : merge_names(base, over, at, "condition", "service_started");
}

static int merge_networks(YamlNode *base, const YamlNode *over, const char *at)
{
    return base->type == YAML_SEQUENCE && over->type == YAML_SEQUENCE ? -ENOTSUP
                                                                      : merge_names(base, over, at, NULL, NULL);
}

/* Another driver has other options. */
static int merge_logging(YamlNode *base, const YamlNode *over, const char *at)
{
    const YamlNode *a = yaml_get(base, "driver"), *b = yaml_get(over, "driver");

    return a && b && !str_equal(a->value, b->value) ? replace(base, over, at) : merge_or_replace(base, over, at);
}

/* Entries */

static char *name_whole(const YamlNode *entry)
{
    return entry->type == YAML_SCALAR ? strdup(entry->value ? entry->value : "") : NULL;
}

static char *member_or(const YamlNode *entry, const char *key, const char *otherwise)
{
    const YamlNode *member = yaml_get(entry, key);

    return strdup(member && member->value ? member->value : otherwise);
}

/* The end of a colon in "A:B:C" that stands in no variable. */
static const char *next_colon(const char *s)
{
    int depth = 0;

    for (; *s && !(depth == 0 && *s == ':'); s++)
        depth += *s == '{' ? 1 : *s == '}' ? -1 : 0;
    return s;
}

/* Of "SOURCE:TARGET[:MODE]" or "TARGET", without a slash at its end. */
static char *name_mount(const YamlNode *entry)
{
    if (entry->type == YAML_MAPPING)
        return member_or(entry, "target", "");
    const char *text = entry->value ? entry->value : "", *end = next_colon(text);

    if (*end == ':') {
        text = end + 1;
        end = next_colon(text);
    }
    while (end > text + 1 && end[-1] == '/')
        end--;
    return strndup(text, (size_t) (end - text));
}

/* A secret or config: its file in the container, by default of its own name. */
static char *name_grant(const YamlNode *entry)
{
    if (entry->type == YAML_SCALAR)
        return name_whole(entry);
    const YamlNode *source = yaml_get(entry, "source");

    return member_or(entry, "target", source && source->value ? source->value : "");
}

/* "[IP:][PUBLISHED:]TARGET[/PROTOCOL]", as the long form would say it. */
static char *name_port(const YamlNode *entry)
{
    if (entry->type == YAML_MAPPING) {
        _cleanup_(freep) char *ip = member_or(entry, "host_ip", ""), *published = member_or(entry, "published", "");
        _cleanup_(freep) char *target = member_or(entry, "target", ""), *protocol = member_or(entry, "protocol", "tcp");

        return ip && published && target && protocol ? str_format("%s|%s|%s|%s", ip, published, target, protocol)
                                                     : NULL;
    }
    const char *text = entry->value ? entry->value : "", *slash = strrchr(text, '/');
    size_t len = slash && !strchr(slash, '}') ? (size_t) (slash - text) : strlen(text);
    _cleanup_(freep) char *rest = strndup(text, len);
    const char *protocol = text[len] ? text + len + 1 : "tcp";
    char *target, *published = NULL;

    if (!rest)
        return NULL;
    target = rest;
    for (char *p = (char *) next_colon(rest); *p; p = (char *) next_colon(p + 1)) {
        published = published ? published : rest;
        target = p + 1;
    }
    if (!published)
        return str_format("||%s|%s", target, protocol);
    target[-1] = '\0';
    char *ip_end = NULL;
    for (char *p = (char *) next_colon(rest); *p; p = (char *) next_colon(p + 1))
        ip_end = p;
    if (!ip_end)
        return str_format("|%s|%s|%s", rest, target, protocol);
    *ip_end = '\0';
    return str_format("%s|%s|%s|%s", rest, ip_end + 1, target, protocol);
}

/* Of "TARGET[:OPTIONS]". */
static char *name_tmpfs(const YamlNode *entry)
{
    const char *text = entry->value ? entry->value : "", *end = next_colon(text);

    while (end > text + 1 && end[-1] == '/')
        end--;
    return strndup(text, (size_t) (end - text));
}

static char *name_subnet(const YamlNode *entry)
{
    const YamlNode *subnet = yaml_get(entry, "subnet");

    return subnet && subnet->value ? strdup(subnet->value) : NULL;
}

static char *name_host(const YamlNode *entry)
{
    const char *text = entry->value ? entry->value : "";

    return strndup(text, strcspn(text, "=:"));
}

static char *name_env_file(const YamlNode *entry)
{
    return entry->type == YAML_MAPPING ? member_or(entry, "path", "") : name_whole(entry);
}

static ssize_t find_entry(const YamlNode *list, size_t n, const char *name, entry_name_t name_of)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_(freep) char *other = name_of(list->items[i]);

        if (other && str_equal(other, name))
            return (ssize_t) i;
    }
    return -1;
}

/* Appends; an entry of a name that is there already takes its place. */
static int merge_lists(YamlNode *base, const YamlNode *over, entry_name_t name_of)
{
    size_t before = base->n_items;

    for (size_t i = 0; i < over->n_items; i++) {
        _cleanup_(freep) char *name = name_of ? name_of(over->items[i]) : NULL;
        ssize_t at = name ? find_entry(base, before, name, name_of) : -1;
        int r = at >= 0 ? replace(base->items[at], over->items[i], "") : tree_add(base, yaml_node_copy(over->items[i]));

        if (r < 0)
            return r;
    }
    return 0;
}

/* Pools of one subnet are one pool. */
static int merge_pools(YamlNode *base, const YamlNode *over, const char *at)
{
    size_t before = base->n_items;

    if (base->type != YAML_SEQUENCE || over->type != YAML_SEQUENCE)
        return -ENOTSUP;
    for (size_t i = 0; i < over->n_items; i++) {
        _cleanup_(freep) char *subnet = name_subnet(over->items[i]);
        ssize_t k = subnet ? find_entry(base, before, subnet, name_subnet) : -1;
        int r = k >= 0 ? merge_mappings(base->items[k], over->items[i], at)
                       : tree_add(base, yaml_node_copy(over->items[i]));

        if (r < 0)
            return r;
    }
    return 0;
}

/* NAME: ADDRESS, or a list of addresses, as "NAME=ADDRESS" each. */
static int hosts_to_list(YamlNode *node)
{
    _cleanup_(yaml_node_freep) YamlNode *list = NULL;
    int r = 0;

    if (node->type != YAML_MAPPING)
        return 0;
    list = tree_new(YAML_SEQUENCE, NULL, node);
    for (size_t i = 0; list && i < node->n_items; i++) {
        const YamlNode *host = node->items[i];
        size_t n = host->tag == YAML_TAG_RESET ? 0 : host->type == YAML_SEQUENCE ? host->n_items : 1;

        for (size_t k = 0; r == 0 && k < n; k++) {
            const YamlNode *address = host->type == YAML_SEQUENCE ? host->items[k] : host;
            _cleanup_(freep) char *text = str_format("%s=%s", host->key, address->value ? address->value : "");

            r = text ? tree_add(list, tree_new(YAML_SCALAR, text, host)) : -ENOMEM;
        }
    }
    return !list ? -ENOMEM : r < 0 ? r : replace(node, list, "");
}

static int drop_host(YamlNode *list, const char *host)
{
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < list->n_items; i++) {
        YamlNode *item = list->items[i];
        _cleanup_(freep) char *name = name_host(item);

        if (!name)
            r = -ENOMEM;
        if (name && str_equal(name, host)) {
            yaml_node_free(item);
            continue;
        }
        item->position = n;
        list->items[n++] = item;
    }
    list->n_items = n;
    return r;
}

/* A list has no place for the tags of a mapping's members: they are followed at once. */
static int drop_tagged_hosts(YamlNode *list, const YamlNode *hosts)
{
    int r = 0;

    for (size_t i = 0; hosts->type == YAML_MAPPING && r == 0 && i < hosts->n_items; i++)
        if (hosts->items[i]->tag != YAML_TAG_NONE)
            r = drop_host(list, hosts->items[i]->key);
    return r;
}

static int merge_hosts(YamlNode *base, const YamlNode *over, const char *at _unused_)
{
    _cleanup_(yaml_node_freep) YamlNode *copy = NULL;

    if (base->type == over->type || base->type == YAML_SCALAR || over->type == YAML_SCALAR)
        return -ENOTSUP;
    copy = yaml_node_copy(over);
    int r = copy ? hosts_to_list(copy) : -ENOMEM;
    if (r == 0)
        r = hosts_to_list(base);
    if (r == 0)
        r = drop_tagged_hosts(base, over);
    return r < 0 ? r : merge_lists(base, copy, name_host);
}

static const MergeRule rules[] = {
    { .path = "services.*.command", .merge = replace },
    { .path = "services.*.entrypoint", .merge = replace },
    { .path = "services.*.healthcheck.test", .merge = replace },
    { .path = "services.*.logging", .merge = merge_logging },
    { .path = "services.*.depends_on", .merge = merge_depends_on, .name = name_whole },
    { .path = "services.*.networks", .merge = merge_networks, .name = name_whole },
    { .path = "services.*.environment", .merge = merge_as_mapping },
    { .path = "services.*.labels", .merge = merge_as_mapping },
    { .path = "services.*.annotations", .merge = merge_as_mapping },
    { .path = "services.*.sysctls", .merge = merge_as_mapping },
    { .path = "services.*.deploy.labels", .merge = merge_as_mapping },
    { .path = "networks.*.labels", .merge = merge_as_mapping },
    { .path = "volumes.*.labels", .merge = merge_as_mapping },
    { .path = "services.*.ports", .name = name_port },
    { .path = "services.*.volumes", .name = name_mount },
    { .path = "services.*.devices", .name = name_mount },
    { .path = "services.*.configs", .name = name_grant },
    { .path = "services.*.secrets", .name = name_grant },
    { .path = "services.*.env_file", .name = name_env_file },
    { .path = "services.*.tmpfs", .name = name_tmpfs },
    { .path = "services.*.extra_hosts", .merge = merge_hosts, .name = name_host },
    { .path = "networks.*.ipam.config", .merge = merge_pools },
    { .path = "services.*.dns", .name = name_whole },
    { .path = "services.*.dns_search", .name = name_whole },
    { .path = "services.*.dns_opt", .name = name_whole },
    { .path = "services.*.cap_add", .name = name_whole },
    { .path = "services.*.cap_drop", .name = name_whole },
    { .path = "services.*.expose", .name = name_whole },
    { .path = "services.*.group_add", .name = name_whole },
    { .path = "services.*.security_opt", .name = name_whole },
    { .path = "services.*.profiles", .name = name_whole },
    { .path = "services.*.networks.*.aliases", .name = name_whole },
};

static const MergeRule *find_rule(const char *at)
{
    for (size_t i = 0; i < ELEMENTSOF(rules); i++)
        if (path_matches(rules[i].path, at))
            return &rules[i];
    return NULL;
}

/* A list, or one text that stands for a list of it. */
static int merge_as_lists(YamlNode *base, const YamlNode *over, entry_name_t name_of)
{
    _cleanup_(yaml_node_freep) YamlNode *copy = yaml_node_copy(over);
    int r = copy ? to_list(copy) : -ENOMEM;

    if (r == 0)
        r = to_list(base);
    return r < 0 ? r : merge_lists(base, copy, name_of);
}

static int merge_node(YamlNode *base, const YamlNode *over, const char *at)
{
    const MergeRule *rule = find_rule(at);
    bool is_replaced = rule && rule->merge == replace;

    /* nothing said is nothing changed; but a command that is null is the image's */
    if (over->type == YAML_SCALAR && yaml_is_null(over) && base->type != YAML_SCALAR && !is_replaced)
        return 0;
    if (base->type == YAML_SCALAR && yaml_is_null(base))
        return replace(base, over, at);
    int r = rule && rule->merge ? rule->merge(base, over, at) : -ENOTSUP;
    if (r != -ENOTSUP)
        return r;
    if (base->type == YAML_MAPPING && over->type == YAML_MAPPING)
        return merge_mappings(base, over, at);
    if (rule && rule->name && base->type != YAML_MAPPING && over->type != YAML_MAPPING)
        return merge_as_lists(base, over, rule->name);
    if (base->type == YAML_SEQUENCE && over->type == YAML_SEQUENCE)
        return merge_lists(base, over, NULL);
    return replace(base, over, at);
}

/* A dot in a name separates nothing. */
static char *path_below(const char *at, const char *key)
{
    char *path = *at ? str_format("%s.%s", at, key) : strdup(key);

    for (char *p = path ? path + strlen(path) - strlen(key) : NULL; p && (p = strchr(p, '.'));)
        *p = '\\';
    return path;
}

static int merge_mappings(YamlNode *base, const YamlNode *over, const char *at)
{
    for (size_t i = 0; i < over->n_items; i++) {
        const YamlNode *member = over->items[i];
        _cleanup_(freep) char *path = path_below(at, member->key);
        YamlNode *there = tree_get(base, member->key);
        bool is_merged = there && there->tag != YAML_TAG_RESET && member->tag == YAML_TAG_NONE;
        int r = !path       ? -ENOMEM
                : is_merged ? merge_node(there, member, path)
                            : tree_set(base, member->key, yaml_node_copy(member));

        if (r < 0)
            return r;
    }
    return 0;
}

int compose_merge(YamlNode *base, const YamlNode *over, const char *at)
{
    return merge_or_replace(base, over, at);
}
