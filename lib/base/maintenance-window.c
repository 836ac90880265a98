/* SPDX-License-Identifier: MIT */
/* Minute by minute, since only libc knows what the clocks of a place do in spring. */
#include "lib/base/maintenance-window.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define SEARCH_MINUTES (8 * MINUTES_PER_DAY)

static int parse_day(const char **p)
{
    int day = weekday_parse(*p);

    *p += day < 0 ? 0 : WEEKDAY_LEN;
    return day;
}

/* "mon-fri+sun" up to the slash. */
static int parse_days(const char **p, unsigned *ret)
{
    unsigned days = 0;

    for (;;) {
        int first = parse_day(p), last = first;

        if (first >= 0 && **p == '-') {
            (*p)++;
            last = parse_day(p);
        }
        if (first < 0 || last < 0)
            return -EINVAL;
        for (int day = first;; day = (day + 1) % 7) {
            days |= 1u << day;
            if (day == last)
                break;
        }
        if (**p != '+')
            break;
        (*p)++;
    }
    if (**p != '/')
        return -EINVAL;
    (*p)++;
    *ret = days;
    return 0;
}

static int parse_one(const char **p, TimeWindow *w)
{
    *w = (TimeWindow) { .days = EVERY_DAY };
    if (!isdigit((unsigned char) **p) && parse_days(p, &w->days) < 0)
        return -EINVAL;
    if (hours_parse(*p, w) < 0)
        return -EINVAL;
    *p += HOURS_LEN;
    return **p == '\0' || **p == ',' ? 0 : -EINVAL;
}

int windows_parse(const char *text, TimeWindow ret[static TIME_WINDOWS_MAX], size_t *ret_n)
{
    TimeWindow windows[TIME_WINDOWS_MAX];
    size_t n = 0;

    for (const char *p = text;; p++) {
        if (n == TIME_WINDOWS_MAX)
            return -E2BIG;
        if (parse_one(&p, &windows[n++]) < 0)
            return -EINVAL;
        if (*p == '\0')
            break;
    }
    memcpy(ret, windows, n * sizeof(*windows));
    *ret_n = n;
    return 0;
}

bool windows_are_open(const TimeWindow *w, size_t n, usec_t realtime)
{
    time_t seconds = (time_t) (realtime / USEC_PER_SEC);
    struct tm tm;

    if (n == 0)
        return true;
    if (!localtime_r(&seconds, &tm))
        return false;
    for (size_t i = 0; i < n; i++)
        if (time_window_is_open(&w[i], (unsigned) tm.tm_wday, (unsigned) (tm.tm_hour * 60 + tm.tm_min)))
            return true;
    return false;
}

usec_t windows_next(const TimeWindow *w, size_t n, usec_t realtime)
{
    usec_t at = realtime - realtime % USEC_PER_MINUTE;

    if (windows_are_open(w, n, realtime))
        return realtime;
    for (unsigned i = 1; i <= SEARCH_MINUTES; i++)
        if (windows_are_open(w, n, at + i * USEC_PER_MINUTE))
            return at + i * USEC_PER_MINUTE;
    return USEC_INFINITY;
}
