/* SPDX-License-Identifier: MIT */
/* What any machine can say about a compose file without knowing the box: syntax, schema, variables' grammar. */
#pragma once

#include "compose/compose.h"

/* Refuses (err, with place) what every box refuses: compose_parse()'s reasons and interpolate.syntax, .too-deep and
 * .too-long anywhere. Unset variables are fine: only the box knows its values. *ret_policy (start from `= {}`) is set
 * to what the built-in policy refuses, which the box's own policy.json may allow; empty when nothing. */
int compose_precheck(const char *text, size_t len, const char *file, Error *ret_policy, Error *err) _must_check_;
