/* SPDX-License-Identifier: MIT */
/* Minute by minute, since only libc knows what the clocks of a place do in spring. */
#include "lib/base/maintenance-window.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/base/strv.h"

#define MINUTES_PER_DAY (24 * 60)
#define SEARCH_MINUTES (8 * MINUTES_PER_DAY)
#define EVERY_DAY 0x7fu

/* Two digits, a colon, two digits; "24:00" is the end of a day. */
static int parse_minute(const char *p, unsigned *ret)
{
    unsigned hour, minute;

    for (size_t i = 0; i < 5; i++)
        if (i == 2 ? p[i] != ':' : !isdigit((unsigned char) p[i]))
            return -EINVAL;
    hour = (unsigned) ((p[0] - '0') * 10 + p[1] - '0');
    minute = (unsigned) ((p[3] - '0') * 10 + p[4] - '0');
    if (minute > 59 || hour * 60 + minute > MINUTES_PER_DAY)
        return -EINVAL;
    *ret = hour * 60 + minute;
    return 0;
}

static int parse_day(const char **p)
{
    static const char *const names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" };

    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (str_starts(*p, names[i])) {
            *p += 3;
            return (int) i;
        }
    return -EINVAL;
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
    if (parse_minute(*p, &w->from) < 0 || (*p)[5] != '-' || parse_minute(*p + 6, &w->to) < 0 ||
        w->from == MINUTES_PER_DAY)
        return -EINVAL;
    *p += 11;
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

static bool is_open(const TimeWindow *w, unsigned day, unsigned minute)
{
    bool today = w->days >> day & 1, yesterday = w->days >> ((day + 6) % 7) & 1;

    if (w->from < w->to)
        return today && minute >= w->from && minute < w->to;
    return (today && minute >= w->from) || (yesterday && minute < w->to);
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
        if (is_open(&w[i], (unsigned) tm.tm_wday, (unsigned) (tm.tm_hour * 60 + tm.tm_min)))
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
