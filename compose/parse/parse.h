/* SPDX-License-Identifier: MIT */
/* What compose_parse() keeps; only for the files of compose/ that go on from there. */
#pragma once

#include "compose/compose.h"
#include "compose/parse/place.h"

struct ComposeFile {
    char *name;
    YamlNode *root;
    char **profiled; /* services left out because of `profiles` */
};

/* Letters, digits, '.', '_' and '-', a letter or digit first, at most 63: what podman takes for any name. */
bool compose_name_is_valid(const char *name);
