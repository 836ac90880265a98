/* SPDX-License-Identifier: MIT */
#include "lib/base/time-window.h"

#include <ctype.h>
#include <errno.h>

#include "lib/base/strv.h"

int weekday_parse(const char *s)
{
    static const char *const names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" };

    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (str_starts(s, names[i]))
            return (int) i;
    return -EINVAL;
}

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

int hours_parse(const char *s, TimeWindow *w)
{
    if (parse_minute(s, &w->from) < 0 || s[5] != '-' || parse_minute(s + 6, &w->to) < 0)
        return -EINVAL;
    return w->from < MINUTES_PER_DAY ? 0 : -EINVAL;
}

bool time_window_is_open(const TimeWindow *w, unsigned day, unsigned minute)
{
    bool today = w->days >> day & 1, yesterday = w->days >> ((day + 6) % 7) & 1;

    if (w->from < w->to)
        return today && minute >= w->from && minute < w->to;
    return (today && minute >= w->from) || (yesterday && minute < w->to);
}
