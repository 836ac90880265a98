/* SPDX-License-Identifier: MIT */
#include "compose/parse/tree-path.h"

#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"

size_t tree_path_step(const YamlNode *node, const char *path, const char **ret_rest)
{
    size_t best = node->n_items, best_len = 0;

    for (size_t i = 0; node->type == YAML_MAPPING && i < node->n_items; i++) {
        size_t len = strlen(node->items[i]->key);

        if (str_starts(path, node->items[i]->key) && strchr(".[", path[len]) && len > best_len) {
            best = i;
            best_len = len;
        }
    }
    if (node->type == YAML_SEQUENCE && *path == '[') {
        _cleanup_(freep) char *digits = strndup(path + 1, strspn(path + 1, "0123456789"));
        uint64_t position = 0;
        bool is_number = digits && str_to_u64(digits, 0, YAML_EVENTS_MAX, &position) == 0;

        for (size_t i = 0; is_number && i < node->n_items; i++)
            if (node->items[i]->position == position) {
                best = i;
                best_len = strlen(digits) + 2;
            }
    }
    if (best < node->n_items)
        *ret_rest = path + best_len + (path[best_len] == '.');
    return best;
}

unsigned tree_path_line(const YamlNode *root, const char *path)
{
    unsigned line = 0;

    while (root && *path) {
        size_t i = tree_path_step(root, path, &path);

        if (i == root->n_items)
            break;
        root = root->items[i];
        line = root->key ? root->key_line : root->line;
    }
    return line;
}
