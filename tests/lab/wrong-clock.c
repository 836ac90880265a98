/* SPDX-License-Identifier: MIT */
/* Preloaded by wrong_clock.py: this process's wall clock is SECBOX_CLOCK_OFFSET seconds away from the machine's. What counts
 * from the boot is not touched, as on a box whose battery is empty; unless SECBOX_CLOCK_PACE says how many times as fast that
 * runs from the process's first look on. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t offset(void)
{
    const char *text = getenv("SECBOX_CLOCK_OFFSET");

    return text ? (time_t) strtoll(text, NULL, 10) : 0;
}

static void hasten(struct timespec *now)
{
    static struct timespec first;
    const char *text = getenv("SECBOX_CLOCK_PACE");
    long long passed, pace = text ? strtoll(text, NULL, 10) : 1;

    if (pace <= 1)
        return;
    if (first.tv_sec == 0)
        first = *now;
    passed = ((now->tv_sec - first.tv_sec) * 1000000000LL + now->tv_nsec - first.tv_nsec) * pace + first.tv_nsec;
    now->tv_sec = first.tv_sec + (time_t) (passed / 1000000000);
    now->tv_nsec = (long) (passed % 1000000000);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int r = (int) syscall(SYS_clock_gettime, clock, ret);

    if (r == 0 && clock == CLOCK_BOOTTIME)
        hasten(ret);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ret->tv_sec += offset();
    return r;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;

    (void) zone;
    if (clock_gettime(CLOCK_REALTIME, &now) < 0)
        return -1;
    *ret = (struct timeval) { .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) < 0)
        return (time_t) -1;
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}
