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

int timestamp_parse(const char *s, usec_t *ret)
{
    char canonical[TIMESTAMP_SIZE];
    unsigned year, month, day, hour, minute, second, millis;
    struct tm tm = {};
    time_t seconds;
    int end = 0;

    if (sscanf(s, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ%n", &year, &month, &day, &hour, &minute, &second, &millis, &end) != 7 ||
        end == 0 || s[end] != '\0' || year < 1970)
        return -EINVAL;
    tm = (struct tm) { .tm_year = (int) year - 1900,
                       .tm_mon = (int) month - 1,
                       .tm_mday = (int) day,
                       .tm_hour = (int) hour,
                       .tm_min = (int) minute,
                       .tm_sec = (int) second };
    seconds = timegm(&tm);
    if (seconds < 0)
        return -EINVAL;
    /* timegm() accepts the 31st of June; only what prints the same again is a time */
    if (strcmp(timestamp_format((usec_t) seconds * USEC_PER_SEC + millis * USEC_PER_MSEC, canonical), s) != 0)
        return -EINVAL;
    *ret = (usec_t) seconds * USEC_PER_SEC + millis * USEC_PER_MSEC;
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
