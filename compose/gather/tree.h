/* SPDX-License-Identifier: MIT */
/* Changing YAML trees. What is added is owned by the tree, also when adding fails. */
#pragma once

#include "lib/data/yaml.h"

/* Without children; `value` is copied, NULL for a collection. The lines are those of `like`. */
YamlNode *tree_new(YamlType type, const char *value, const YamlNode *like);
int tree_add(YamlNode *parent, YamlNode *child) _must_check_;
/* The member of this key becomes `child`, at the end when there was none. */
int tree_set(YamlNode *mapping, const char *key, YamlNode *child) _must_check_;
/* Takes a member out and returns it; NULL when there is none. */
YamlNode *tree_take(YamlNode *mapping, const char *key);
YamlNode *tree_get(YamlNode *mapping, const char *key);
/* What is tagged !reset goes, and no other tags stay. True, when there were any. */
bool tree_apply_tags(YamlNode *node);
/* Every node is from this file. */
void tree_set_file(YamlNode *node, const char *file);
/* Another value for a scalar. */
int tree_set_value(YamlNode *scalar, const char *value) _must_check_;
