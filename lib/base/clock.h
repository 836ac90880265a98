/* SPDX-License-Identifier: MIT */
/* Time: microseconds everywhere; CLOCK_BOOTTIME for intervals, the wall clock only for records. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint64_t usec_t;

#define USEC_PER_MSEC ((usec_t) 1000)
#define USEC_PER_SEC ((usec_t) 1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
#define USEC_INFINITY ((usec_t) UINT64_MAX)

#define TIMESTAMP_SIZE 32

usec_t boottime_usec(void);
usec_t realtime_usec(void);

/* RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z. Returns buf. */
const char *timestamp_format(usec_t realtime, char buf[static TIMESTAMP_SIZE]);
/* RFC 3339 as others write it: with or without a fraction, in UTC or with an offset; since 1970, without leap seconds. -EINVAL,
 * also for NULL. */
int rfc3339_parse(const char *s, usec_t *ret);
/* Only the form of timestamp_format(); -EINVAL for anything else. */
int timestamp_parse(const char *s, usec_t *ret);

/* How far a time is from `now`, for people: "now" below a second, else "12 s ago", "3 min ago", "5 h ago", "2 days ago",
 * "in 3 min". Returns buf. */
const char *age_format(usec_t realtime, usec_t now, char buf[static TIMESTAMP_SIZE]);

/* "90s", "15m", "1h": decimal digits and one unit. -EINVAL for anything else and for empty text, -ERANGE over a year. */
int duration_parse(const char *s, usec_t *ret);
