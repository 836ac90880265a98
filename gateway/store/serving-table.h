/* SPDX-License-Identifier: MIT */
/* Which gateway serves with this database: there is one at a time. */
#pragma once

#include "lib/postgres/statement.h"

extern const char schema_serving[];

/* This gateway, known by the key that signs its tokens and the place that it runs at, serves, unless another one has said within a
 * minute that it does. 0 whether it is this one; 1 the place of the one before, maybe NULL. */
Statement sql_serving_take(const char *key, const char *place);
