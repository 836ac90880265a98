/* SPDX-License-Identifier: MIT */
/* What of a file can be judged by whoever does not know the box's variables. */
#pragma once

#include "compose/parse/parse.h"

/* A copy of the file in which no variable is left: a value with one goes, with the smallest part of its key that means
 * something by itself (an item of a list, a member of a map with free names, else the key). An image is never left out but
 * made up. Whatever is refused in the copy is refused on every box. *ret is the caller's; 0 or -ENOMEM. */
int compose_known_part(const ComposeFile *f, ComposeFile **ret) _must_check_;
