/* SPDX-License-Identifier: MIT */
#include "compose/gather/tree.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

YamlNode *tree_new(YamlType type, const char *value, const YamlNode *like)
{
    YamlNode *node = calloc(1, sizeof(*node));

    if (!node)
        return NULL;
    node->type = type;
    node->line = like ? like->line : 0;
    node->key_line = like && like->key_line ? like->key_line : node->line; /* also of an entry that becomes a member */
    node->file = like ? like->file : NULL;
    node->value = value ? strdup(value) : NULL;
    return value && !node->value ? yaml_node_free(node) : node;
}

int tree_add(YamlNode *parent, YamlNode *child)
{
    YamlNode **items;

    if (!child)
        return -ENOMEM;
    items = reallocarray(parent->items, parent->n_items + 1, sizeof(*items));
    if (!items) {
        yaml_node_free(child);
        return -ENOMEM;
    }
    parent->items = items;
    child->position = parent->n_items;
    items[parent->n_items++] = child;
    return 0;
}

static size_t find(const YamlNode *mapping, const char *key)
{
    size_t i = 0;

    while (i < mapping->n_items && !str_equal(mapping->items[i]->key, key))
        i++;
    return i;
}

int tree_set(YamlNode *mapping, const char *key, YamlNode *child)
{
    size_t i = find(mapping, key);
    char *copy = child ? strdup(key) : NULL;

    if (!copy) {
        yaml_node_free(child);
        return -ENOMEM;
    }
    free(child->key);
    child->key = copy;
    if (i == mapping->n_items)
        return tree_add(mapping, child);
    yaml_node_free(mapping->items[i]);
    child->position = i;
    mapping->items[i] = child;
    return 0;
}

YamlNode *tree_take(YamlNode *mapping, const char *key)
{
    size_t i = mapping->type == YAML_MAPPING ? find(mapping, key) : mapping->n_items;
    YamlNode *node;

    if (i == mapping->n_items)
        return NULL;
    node = mapping->items[i];
    memmove(&mapping->items[i], &mapping->items[i + 1], (mapping->n_items - i - 1) * sizeof(*mapping->items));
    mapping->n_items--;
    return node;
}

YamlNode *tree_get(YamlNode *mapping, const char *key)
{
    return (YamlNode *) yaml_get(mapping, key);
}

bool tree_apply_tags(YamlNode *node)
{
    bool any = node->tag != YAML_TAG_NONE;
    size_t n = 0;

    node->tag = YAML_TAG_NONE;
    for (size_t i = 0; i < node->n_items; i++) {
        YamlNode *item = node->items[i];

        if (item->tag == YAML_TAG_RESET) {
            any = true;
            yaml_node_free(item);
            continue;
        }
        any = tree_apply_tags(item) || any;
        node->items[n++] = item;
    }
    node->n_items = n;
    return any;
}

void tree_set_file(YamlNode *node, const char *file)
{
    node->file = file;
    for (size_t i = 0; i < node->n_items; i++)
        tree_set_file(node->items[i], file);
}

int tree_set_value(YamlNode *scalar, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(scalar->value);
    scalar->value = copy;
    return 0;
}
