/* SPDX-License-Identifier: MIT */
/* Strict YAML must refuse or give a tree within its caps, and a copy of the tree is equal in size. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/limits.h"
#include "lib/data/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_nodes(const YamlNode *node, unsigned depth)
{
    size_t n = 1;

    if (depth > YAML_DEPTH_MAX)
        abort();
    for (size_t i = 0; i < node->n_items; i++) {
        if ((node->type == YAML_MAPPING) != (node->items[i]->key != NULL))
            abort();
        n += count_nodes(node->items[i], depth + 1);
    }
    if ((node->type == YAML_SCALAR) != (node->value != NULL))
        abort();
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    _cleanup_(yaml_node_freep) YamlNode *copy = NULL;
    _cleanup_(error_done) Error err = {};

    if (yaml_parse((const char *) data, size, "fuzz", &root, &err) < 0) {
        if (root || !err.id)
            abort();
        return 0;
    }
    copy = yaml_node_copy(root);
    if (!copy || count_nodes(copy, 0) != count_nodes(root, 0) || count_nodes(root, 0) > YAML_EVENTS_MAX)
        abort();
    return 0;
}
