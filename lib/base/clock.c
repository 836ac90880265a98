/* SPDX-License-Identifier: MIT */
/* Clocks and RFC 3339. */

#include "lib/base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static usec_t clock_usec(clockid_t id)
{
    struct timespec ts = {};

    clock_gettime(id, &ts);
    return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

usec_t boottime_usec(void)
{
    return clock_usec(CLOCK_BOOTTIME);
}

usec_t realtime_usec(void)
{
    return clock_usec(CLOCK_REALTIME);
}

const char *timestamp_format(usec_t realtime, char buf[static TIMESTAMP_SIZE])
{
    time_t seconds = (time_t) (realtime / USEC_PER_SEC);
    struct tm tm = {};
    size_t n;

    gmtime_r(&seconds, &tm);
    n = strftime(buf, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, TIMESTAMP_SIZE - n, ".%03uZ", (unsigned) (realtime % USEC_PER_SEC / USEC_PER_MSEC));
    return buf;
}

#define TIME_TEXT_MIN 20 /* 2026-01-02T03:04:05Z */
#define TIME_TEXT_MAX 40
#define OFFSET_HOURS_MAX 15 /* PostgreSQL takes less than 16 hours, and no zone has had so many */

/* The number that n digits make, -1 when they are none. */
static int digits(const char *s, int n)
{
    int value = 0;

    for (int i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        value = value * 10 + s[i] - '0';
    }
    return value;
}

/* ".678" in microseconds; where it ends. NULL: it is none. */
static const char *parse_fraction(const char *s, usec_t *ret)
{
    usec_t unit = USEC_PER_SEC / 10;
    int n = 0;

    *ret = 0;
    if (*s != '.')
        return s;
    for (s++; *s >= '0' && *s <= '9'; s++, n++, unit /= 10)
        *ret += (usec_t) (*s - '0') * unit;
    return n > 0 ? s : NULL;
}

/* "Z" in either case, "+05:30": seconds east of UTC. */
static int parse_offset(const char *s, long *ret)
{
    int hours = *s == '+' || *s == '-' ? digits(s + 1, 2) : -1;
    int minutes = hours >= 0 && s[3] == ':' ? digits(s + 4, 2) : -1;

    *ret = 0;
    if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0)
        return 0;
    if (hours > OFFSET_HOURS_MAX || minutes < 0 || minutes > 59 || s[6] != '\0')
        return -EINVAL;
    *ret = (hours * 60L + minutes) * 60 * (*s == '-' ? -1 : 1);
    return 0;
}

int rfc3339_parse(const char *s, usec_t *ret)
{
    size_t len = s ? strnlen(s, TIME_TEXT_MAX + 1) : 0;
    struct tm tm = {};
    usec_t fraction;
    long offset;

    if (len < TIME_TEXT_MIN || len > TIME_TEXT_MAX || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' ||
        s[16] != ':')
        return -EINVAL;
    int year = digits(s, 4), month = digits(s + 5, 2), day = digits(s + 8, 2);
    int hour = digits(s + 11, 2), minute = digits(s + 14, 2), second = digits(s + 17, 2);
    const char *rest = parse_fraction(s + 19, &fraction);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 59 || !rest || parse_offset(rest, &offset) < 0)
        return -EINVAL;
    tm = (struct tm) {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second
    };
    time_t seconds = timegm(&tm) - offset;
    /* timegm() takes the 31st of June for the 1st of July */
    if (tm.tm_mday != day || seconds < 0)
        return -EINVAL;
    *ret = (usec_t) seconds * USEC_PER_SEC + fraction;
    return 0;
}

int timestamp_parse(const char *s, usec_t *ret)
{
    char canonical[TIMESTAMP_SIZE];
    usec_t t;

    if (rfc3339_parse(s, &t) < 0 || strcmp(timestamp_format(t, canonical), s) != 0)
        return -EINVAL;
    *ret = t;
    return 0;
}

int duration_parse(const char *s, usec_t *ret)
{
    static const struct {
        char letter;
        usec_t unit;
    } units[] = { { 's', USEC_PER_SEC }, { 'm', USEC_PER_MINUTE }, { 'h', USEC_PER_HOUR } };
    const usec_t most = 366 * USEC_PER_DAY;
    size_t digits = strspn(s, "0123456789");
    usec_t n = 0;

    if (digits == 0 || strlen(s) != digits + 1)
        return -EINVAL;
    for (size_t i = 0; i < digits; i++) {
        n = n * 10 + (usec_t) (s[i] - '0');
        if (n > most)
            return -ERANGE;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].letter != s[digits])
            continue;
        if (n == 0 || n > most / units[i].unit)
            return n == 0 ? -EINVAL : -ERANGE;
        *ret = n * units[i].unit;
        return 0;
    }
    return -EINVAL;
}

const char *age_format(usec_t realtime, usec_t now, char buf[static TIMESTAMP_SIZE])
{
    static const struct {
        usec_t below, unit;
        const char *name;
    } units[] = {
        { USEC_PER_MINUTE, USEC_PER_SEC, "s" },
        { USEC_PER_HOUR, USEC_PER_MINUTE, "min" },
        { 2 * USEC_PER_DAY, USEC_PER_HOUR, "h" },
        { USEC_INFINITY, USEC_PER_DAY, "days" },
    };
    bool past = realtime <= now;
    usec_t distance = past ? now - realtime : realtime - now;
    size_t i = 0;

    while (distance >= units[i].below && i + 1 < sizeof(units) / sizeof(units[0]))
        i++;
    if (distance < USEC_PER_SEC)
        snprintf(buf, TIMESTAMP_SIZE, "now");
    else
        snprintf(buf, TIMESTAMP_SIZE, "%s%u %s%s", past ? "" : "in ", (unsigned) (distance / units[i].unit),
                 units[i].name, past ? " ago" : "");
    return buf;
}
