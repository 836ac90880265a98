/* SPDX-License-Identifier: MIT */
/* Which of a box's values somebody should know of. Pure. What is a fault stays one until the value is clearly better, so that
 * one that wavers does not come and go. */
#pragma once

#include "lib/data/json.h"

/* A new object: what is wrong, as "disk.full:/" or "memory.low", and a sentence about it. `values` are those of health.report,
 * `before` the faults of the look before, or NULL. NULL when out of memory. */
cJSON *host_faults(const cJSON *values, const cJSON *before);
