/* SPDX-License-Identifier: MIT */
/* From the key path of an error back to the tree. */
#pragma once

#include "lib/data/yaml.h"

/* Index of the member or item that the path begins with, and what is left of the path behind it; node->n_items when there is
 * none. Keys may hold dots: the longest wins. Items are known by their position in the file. */
size_t tree_path_step(const YamlNode *node, const char *path, const char **ret_rest);

/* The line of the key that the path names, or of as much of it as there is; 0 when there is nothing of it. */
unsigned tree_path_line(const YamlNode *root, const char *path);
