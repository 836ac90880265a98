/* SPDX-License-Identifier: MIT */
/* What compose_parse() keeps; only for the files of compose/ that work on it. */
#pragma once

#include "compose/parse/parse.h"
#include "compose/parse/place.h"

struct ComposeFile {
    char *name;
    YamlNode *root;
    char **profiled; /* services left out because of `profiles` */
};

/* compose_parse() of a tree that yaml_parse() has made; takes it, also on failure. */
int compose_parse_tree(YamlNode *root, const char *file, ComposeFile **ret, Error *err) _must_check_;
