/* SPDX-License-Identifier: MIT */
/* Windows of local time, as people write them into settings. Pure, apart from the time zone, which libc knows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/time-window.h"

#define TIME_WINDOWS_MAX 16

/* "02:00-05:00", "mon-fri/01:00-04:30,sat+sun/22:00-06:00": windows separated by commas, each with its days before a slash or
 * for every day; days are joined by '+', or ranges. No white space. -EINVAL, -E2BIG. */
int windows_parse(const char *text, TimeWindow ret[static TIME_WINDOWS_MAX], size_t *ret_n) _must_check_;

/* Whether one of them is open; always true when there are none. */
bool windows_are_open(const TimeWindow *w, size_t n, usec_t realtime);

/* When one is next open: `realtime` itself if one is open now. USEC_INFINITY when none opens within eight days, which
 * only happens to a window inside the hour that a clock change skips. */
usec_t windows_next(const TimeWindow *w, size_t n, usec_t realtime);
