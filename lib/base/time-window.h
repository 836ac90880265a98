/* SPDX-License-Identifier: MIT */
/* Hours of the day and days of the week, as people write them. Pure. */
#pragma once

#include <stdbool.h>

#include "lib/base/mem.h"

#define MINUTES_PER_DAY (24 * 60)
#define EVERY_DAY 0x7fu
#define WEEKDAY_LEN 3
#define HOURS_LEN 11 /* "08:00-18:30" */

typedef struct TimeWindow {
    unsigned days;     /* bit n: day n of the week, 0 is Sunday; the day on which the window opens */
    unsigned from, to; /* minutes since midnight; `to` below or equal to `from` is on the next day */
} TimeWindow;

/* The day that the first three letters name, "sun" (0) to "sat" (6); -EINVAL. */
int weekday_parse(const char *s) _must_check_;
/* The first HOURS_LEN characters, "08:00-18:30"; "24:00" is the end of a day. -EINVAL. */
int hours_parse(const char *s, TimeWindow *w) _must_check_;
bool time_window_is_open(const TimeWindow *w, unsigned day, unsigned minute);
