/* SPDX-License-Identifier: MIT */
/* By which names and addresses tablets reach the box. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

#define BOX_NAMES_MAX 32

/* Whether the certificate can hold it: a private address, or a name below LAN_HOST. */
bool box_name_is_usable(const char *name);

/* LAN_HOST first, then "localhost", the names of `more` (with commas between; NULL: none), the addresses that the host has
 * written into RUN_DIR/addresses (one a line; a container does not see them itself), and this machine's own that no public network
 * has. Each once, sorted behind the first. */
int box_names(const char *run_dir, const char *more, char ***ret, Error *err) _must_check_;
