/* SPDX-License-Identifier: MIT */
/* Interpolates a file's tree, and finds out which variables it needs. */
#include "compose/parse/variables.h"

#include <errno.h>
#include <string.h>

#include "compose/parse/interpolate.h"
#include "compose/parse/parse-impl.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

typedef struct TreeContext {
    InterpolateContext values;
    size_t total;
} TreeContext;

static int interpolate_value(TreeContext *c, YamlNode *node, const Place *at)
{
    _cleanup_(freep) char *path = NULL;
    char *value = NULL;
    int r;

    if (!strchr(node->value, '$'))
        return 0;
    path = place_format(at);
    c->values.line = node->line;
    c->values.key = path;
    r = interpolate(node->value, &c->values, &value, at->err);
    if (r < 0)
        return r;
    free(node->value);
    node->value = value;
    /* from here on it is text, whatever it looks like */
    node->plain = false;
    c->total += strlen(value);
    if (c->total > COMPOSE_RENDERED_MAX)
        return place_fail(at, EMSGSIZE, "interpolate.too-long",
                          "all values together are longer than %d bytes with their variables put in",
                          COMPOSE_RENDERED_MAX);
    return 0;
}

static int interpolate_tree(TreeContext *c, YamlNode *node, const Place *at)
{
    int r = 0;

    if (node->type == YAML_SCALAR)
        return interpolate_value(c, node, at);
    for (size_t i = 0; r >= 0 && i < node->n_items; i++) {
        Place child = place_child(at, i);

        r = interpolate_tree(c, node->items[i], &child);
    }
    return r;
}

int compose_interpolate(const ComposeFile *f, compose_lookup_t lookup, void *userdata,
                        int (*on_unset)(const char *name, void *userdata), YamlNode **ret, Error *err)
{
    _cleanup_(yaml_node_freep) YamlNode *root = yaml_node_copy(f->root);
    TreeContext c = {
        .values = { .lookup = lookup, .userdata = userdata, .file = f->name, .on_unset = on_unset },
    };
    Place top;
    int r;

    if (!root)
        return -ENOMEM;
    top = place_top(f->name, root, err);
    r = interpolate_tree(&c, root, &top);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(root);
    return 0;
}

/* --- required keys --- */

typedef struct Missing {
    compose_lookup_t lookup;
    void *userdata;
    char **keys;
} Missing;

static const char *lookup_for_missing(const char *key, void *userdata)
{
    const Missing *m = userdata;

    return m->lookup(key, m->userdata);
}

static int add_missing(const char *name, void *userdata)
{
    Missing *m = userdata;

    return strv_contains(m->keys, name) ? 0 : strv_add(&m->keys, name);
}

/* `- KEY` and `KEY:` pass a variable through. With an env_file the value may come from there. */
static int add_passed_through(const YamlNode *service, Missing *m)
{
    const YamlNode *environment = yaml_get(service, "environment");
    int r = 0;

    if (!environment || yaml_get(service, "env_file"))
        return 0;
    for (size_t i = 0; r >= 0 && i < environment->n_items; i++) {
        const YamlNode *entry = environment->items[i];
        const char *key = entry->key;

        if (key ? !yaml_is_null(entry) : strchr(entry->value, '=') != NULL)
            continue;
        if (!key)
            key = entry->value;
        if (*key && !m->lookup(key, m->userdata))
            r = add_missing(key, m);
    }
    return r;
}

/* A config or secret that is the value of a variable, when the service has it. */
static int add_origins(const YamlNode *root, const YamlNode *service, const char *section, Missing *m)
{
    const YamlNode *grants = yaml_get(service, section), *definitions = yaml_get(root, section);
    int r = 0;

    for (size_t i = 0; grants && r >= 0 && i < grants->n_items; i++) {
        const YamlNode *grant = grants->items[i],
                       *name = grant->type == YAML_SCALAR ? grant : yaml_get(grant, "source");
        const YamlNode *definition = name && name->value && definitions ? yaml_get(definitions, name->value) : NULL;
        const YamlNode *variable = definition ? yaml_get(definition, "environment") : NULL;

        if (variable && !str_empty(variable->value) && !m->lookup(variable->value, m->userdata))
            r = add_missing(variable->value, m);
    }
    return r;
}

int compose_required_keys(const ComposeFile *f, compose_lookup_t lookup, void *userdata, char ***ret, Error *err)
{
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    Missing m = { .lookup = lookup, .userdata = userdata };
    const YamlNode *services;
    int r = compose_interpolate(f, lookup_for_missing, &m, add_missing, &root, err);

    services = yaml_get(root, "services");
    for (size_t i = 0; r >= 0 && i < services->n_items; i++) {
        r = add_passed_through(services->items[i], &m);
        if (r >= 0)
            r = add_origins(root, services->items[i], "configs", &m);
        if (r >= 0)
            r = add_origins(root, services->items[i], "secrets", &m);
    }
    if (r >= 0 && !m.keys) {
        m.keys = calloc(1, sizeof(*m.keys));
        r = m.keys ? 0 : -ENOMEM;
    }
    if (r < 0) {
        strv_free(m.keys);
        return error_from_errno(err, r, "cannot look for variables in %s", f->name);
    }
    strv_sort(m.keys);
    *ret = m.keys;
    return 0;
}

/* --- used variables --- */

typedef struct Used {
    compose_lookup_t lookup;
    void *userdata;
    char **known, **unknown;
    size_t n;
    int r;
} Used;

static const char *lookup_and_note(const char *key, void *userdata)
{
    Used *u = userdata;
    const char *value = u->lookup(key, u->userdata);
    char ***names = value ? &u->known : &u->unknown;
    bool is_empty = value && !*value;

    if (!is_empty && u->r == 0 && u->n < COMPOSE_USED_VARIABLES_MAX && !strv_contains(*names, key)) {
        u->r = strv_add(names, key);
        u->n++;
    }
    return value;
}

static int ignore_unset(const char *name, void *userdata)
{
    (void) name;
    (void) userdata;
    return 0;
}

int compose_used_variables(const ComposeFile *f, compose_lookup_t lookup, void *userdata, char ***ret_known,
                           char ***ret_unknown, Error *err)
{
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    Used u = { .lookup = lookup, .userdata = userdata };
    int r = compose_interpolate(f, lookup_and_note, &u, ignore_unset, &root, err);

    if (r == 0)
        r = u.r;
    if (r < 0) {
        strv_free(u.known);
        strv_free(u.unknown);
        return error_from_errno(err, r, "cannot look for variables in %s", f->name);
    }
    strv_sort(u.known);
    strv_sort(u.unknown);
    *ret_known = u.known;
    *ret_unknown = u.unknown;
    return 0;
}
