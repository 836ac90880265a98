/* SPDX-License-Identifier: MIT */
/* The name that a compose file gives to its project: its top-level `name`. */
#pragma once

#include <stddef.h>

#include "lib/data/yaml.h"

/* With the defaults of its variables, since it is asked for where the box's are not known. *ret is NULL when there is none, or
 * when it takes a box's variables to know it; else a new string. -ENOMEM. */
int compose_stated_name(const YamlNode *root, char **ret) _must_check_;
/* The same of a text; one that does not parse has none, for the checks of compose files to say why. */
int compose_stated_name_of(const char *text, size_t len, char **ret) _must_check_;
