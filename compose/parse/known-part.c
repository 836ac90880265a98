/* SPDX-License-Identifier: MIT */
#include "compose/parse/known-part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compose/model/service-key.h"
#include "compose/parse/interpolate.h"
#include "compose/parse/parse-impl.h"
#include "lib/base/strv.h"

#define SOME_IMAGE "localhost/unknown"
#define SOME_ORIGIN "/unknown" /* a file, a text or a variable */

static bool is_unknown(const YamlNode *node)
{
    if (node->type == YAML_SCALAR)
        return interpolate_has_variable(node->value);
    for (size_t i = 0; i < node->n_items; i++)
        if (is_unknown(node->items[i]))
            return true;
    return false;
}

static void drop_unknown_items(YamlNode *node)
{
    size_t n = 0;
    for (size_t i = 0; i < node->n_items; i++) {
        if (is_unknown(node->items[i]))
            yaml_node_free(node->items[i]);
        else
            node->items[n++] = node->items[i];
    }
    node->n_items = n;
}

/* Whether something of it is left. */
static bool keep_known_part(YamlNode *member)
{
    const ComposeKey *key = compose_service_key(member->key);
    if (!is_unknown(member))
        return true;
    if (member->type == YAML_SCALAR || (member->type == YAML_MAPPING && key && key->shape->members))
        return false;
    drop_unknown_items(member);
    return member->n_items > 0;
}

static int make_up_image(YamlNode *service)
{
    for (size_t i = 0; i < service->n_items; i++) {
        YamlNode *member = service->items[i];
        if (!str_equal(member->key, "image") || !is_unknown(member))
            continue;
        char *image = strdup(SOME_IMAGE);
        if (!image)
            return -ENOMEM;
        free(member->value);
        member->value = image;
    }
    return 0;
}

static int reduce_service(YamlNode *service)
{
    size_t n = 0;
    int r = make_up_image(service);
    if (r < 0)
        return r;
    for (size_t i = 0; i < service->n_items; i++) {
        if (keep_known_part(service->items[i]))
            service->items[n++] = service->items[i];
        else
            yaml_node_free(service->items[i]);
    }
    service->n_items = n;
    return 0;
}

/* What a config or secret is made of stays, with any value: it is where the file comes from. */
static int make_up_origin(YamlNode *definition)
{
    for (size_t i = 0; i < definition->n_items; i++) {
        YamlNode *member = definition->items[i];
        char *value;

        if (member->type != YAML_SCALAR || !is_unknown(member))
            continue;
        value = strdup(SOME_ORIGIN);
        if (!value)
            return -ENOMEM;
        free(member->value);
        member->value = value;
    }
    return 0;
}

/* A definition stays, since services name it; what hangs on a variable in it does not. */
static int reduce_definitions(YamlNode *section)
{
    bool files = str_equal(section->key, "configs") || str_equal(section->key, "secrets");
    int r = 0;

    for (size_t i = 0; r >= 0 && i < section->n_items; i++) {
        if (section->items[i]->type == YAML_SCALAR)
            continue;
        if (files)
            r = make_up_origin(section->items[i]);
        drop_unknown_items(section->items[i]);
    }
    return r;
}

static int reduce(YamlNode *root)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < root->n_items; i++) {
        YamlNode *section = root->items[i];
        if (!str_equal(section->key, "services")) {
            r = reduce_definitions(section);
            continue;
        }
        for (size_t k = 0; r >= 0 && k < section->n_items; k++)
            r = reduce_service(section->items[k]);
    }
    if (r >= 0)
        drop_unknown_items(root); /* a name with a variable */
    return r;
}

int compose_known_part(const ComposeFile *f, ComposeFile **ret)
{
    _cleanup_(compose_file_freep) ComposeFile *copy = calloc(1, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    copy->name = strdup(f->name);
    copy->root = yaml_node_copy(f->root);
    if (!copy->name || !copy->root)
        return -ENOMEM;
    for (char **name = f->profiled; name && *name; name++)
        if (strv_add(&copy->profiled, *name) < 0)
            return -ENOMEM;
    int r = reduce(copy->root);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(copy);
    return 0;
}
