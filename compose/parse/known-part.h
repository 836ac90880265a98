/* SPDX-License-Identifier: MIT */
/* The part of a file that can be judged without knowing the box's variables. */
#pragma once

#include "compose/parse/parse.h"

/* A copy of the file in which no variable is left: a value that holds one is left out, and with it the smallest part of
 * its key that means something by itself (an item of a list, a member of a map with free names, else the whole key). An
 * image is not left out: a made-up name takes its place. What is refused in the copy is refused on every box. *ret is
 * the caller's; 0 or -ENOMEM. */
int compose_known_part(const ComposeFile *f, ComposeFile **ret) _must_check_;
