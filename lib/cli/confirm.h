/* SPDX-License-Identifier: MIT */
/* Asks before what cannot be undone. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

/* Asks "QUESTION [yes/no] " on standard error and reads the answer from standard input, when both are a terminal. `yes`: --yes was
 * given, and nothing is asked. Errors: usage (-EINVAL), no terminal and no --yes; cli.declined (-ECANCELED). */
int cli_confirm(bool yes, const char *question, Error *err) _must_check_;
