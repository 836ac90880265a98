/* SPDX-License-Identifier: MIT */
/* By which names and addresses tablets reach the box. */
#pragma once

#include "lib/base/error.h"

#define BOX_NAMES_MAX 32

/* LAN_HOST first, then "localhost", the names of `more` (with commas between; NULL: none), the addresses that the host has
 * written into RUN_DIR/addresses (one a line; a container does not see them itself), and this machine's own that no public network
 * has. Each once, sorted behind the first. */
int box_names(const char *run_dir, const char *more, char ***ret, Error *err) _must_check_;
