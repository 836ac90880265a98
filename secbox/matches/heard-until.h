/* SPDX-License-Identifier: MIT */
/* Up to when all that Frigate saw has been reported, in a file: what came later is asked for again after a restart. */
#pragma once

#include "lib/base/clock.h"
#include "lib/base/error.h"

/* What lies further back is not asked for: Frigate itself keeps it for days at most. */
#define HEARD_UNTIL_PAST_MAX (7 * USEC_PER_DAY)

/* Never later than now, since a clock may have been ahead. `now` where there is no such file, or none that can be read. */
usec_t heard_until_load(const char *path, usec_t now);
/* file.write */
int heard_until_save(const char *path, usec_t at, Error *err) _must_check_;
