/* SPDX-License-Identifier: MIT */
/* From text to a tree that has only known keys in known shapes and only the services that will run. */
#include "compose/parse/parse.h"

#include <errno.h>
#include <string.h>

#include "compose/parse/parse-impl.h"
#include "compose/parse/schema.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define NAME_LENGTH_MAX 63

bool compose_name_is_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > NAME_LENGTH_MAX || strchr("._-", name[0]))
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

ComposeFile *compose_file_free(ComposeFile *f)
{
    if (!f)
        return NULL;
    free(f->name);
    yaml_node_free(f->root);
    strv_free(f->profiled);
    free(f);
    return NULL;
}

const YamlNode *compose_file_root(const ComposeFile *f)
{
    return f->root;
}

const char *compose_file_name(const ComposeFile *f)
{
    return f->name;
}

static int drop_profiled(ComposeFile *f, YamlNode *services)
{
    size_t n = 0;

    for (size_t i = 0; i < services->n_items; i++) {
        YamlNode *service = services->items[i];
        const YamlNode *profiles = yaml_get(service, "profiles");

        if (!profiles || profiles->n_items == 0) {
            services->items[n++] = service;
            continue;
        }
        /* the array stays whole if memory runs out here: nothing is freed before the name is kept */
        if (strv_add(&f->profiled, service->key) < 0) {
            while (i < services->n_items)
                services->items[n++] = services->items[i++];
            services->n_items = n;
            return -ENOMEM;
        }
        yaml_node_free(service);
    }
    services->n_items = n;
    return 0;
}

static int check_names(const Place *top, const char *section)
{
    Place at = place_member(top, section);

    if (!at.node || at.node->type != YAML_MAPPING)
        return 0;
    for (size_t i = 0; i < at.node->n_items; i++) {
        Place child = place_child(&at, i);

        if (!compose_name_is_valid(child.key))
            return place_fail(&child, EINVAL, "compose.name",
                              "\"%s\" is no name: up to %d letters, digits, '.', '_' and '-', a letter or digit first",
                              child.key, NAME_LENGTH_MAX);
    }
    return 0;
}

static int check_file(ComposeFile *f, Error *err)
{
    Place top = place_top(f->name, f->root, err);
    Place services;
    int r = schema_apply(f->root, &compose_shape, &top);

    if (r >= 0)
        r = check_names(&top, "services");
    if (r >= 0)
        r = check_names(&top, "networks");
    if (r >= 0)
        r = check_names(&top, "volumes");
    if (r >= 0)
        r = check_names(&top, "configs");
    if (r >= 0)
        r = check_names(&top, "secrets");
    if (r < 0)
        return r;
    services = place_member(&top, "services");
    if (!services.node || services.node->n_items == 0)
        return place_fail(&services, EINVAL, "compose.no-services", "there is not one service in it");
    r = drop_profiled(f, (YamlNode *) services.node);
    if (r < 0)
        return r;
    if (services.node->n_items == 0)
        return place_fail(&services, EINVAL, "compose.no-services", "every service has `profiles`, so none would run");
    if (services.node->n_items > COMPOSE_SERVICES_MAX)
        return place_fail(&services, EMSGSIZE, "compose.too-many-services", "%zu services; at most %d are accepted",
                          services.node->n_items, COMPOSE_SERVICES_MAX);
    return 0;
}

int compose_parse(const char *text, size_t len, const char *file, ComposeFile **ret, Error *err)
{
    YamlNode *root = NULL;
    int r = yaml_parse(text, len, file ? file : "compose.yml", &root, err);

    return r < 0 ? r : compose_parse_tree(root, file, ret, err);
}

int compose_parse_tree(YamlNode *root, const char *file, ComposeFile **ret, Error *err)
{
    _cleanup_(compose_file_freep) ComposeFile *f = calloc(1, sizeof(*f));
    int r;

    if (!f) {
        yaml_node_free(root);
        return error_from_errno(err, -ENOMEM, "cannot read %s", file);
    }
    f->root = root;
    f->name = strdup(file ? file : "compose.yml");
    if (!f->name)
        return error_from_errno(err, -ENOMEM, "cannot read %s", file);
    r = check_file(f, err);
    if (r < 0)
        return error_from_errno(err, r, "cannot read %s", f->name);
    *ret = TAKE_PTR(f);
    return 0;
}
