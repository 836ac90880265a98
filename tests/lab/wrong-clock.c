/* SPDX-License-Identifier: MIT */
/* Preloaded by wrong_clock.py: this process's wall clock is SECBOX_CLOCK_OFFSET seconds away from the machine's, or as many as
 * the file OFFSET_FILE of a whole box holds, which whoever sets the clock writes. What counts from the boot is not touched, as on
 * a box whose battery is empty; unless SECBOX_CLOCK_PACE says how many times as fast that runs from the process's first look on.
 * Nobody keeps such a clock right, unless SECBOX_CLOCK_SYNCHRONISED is set. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define OFFSET_FILE "/etc/lab-clock-offset"

static volatile int64_t *box_offset;

__attribute__((constructor)) static void find_offset(void)
{
    int fd = open(OFFSET_FILE, O_RDONLY | O_CLOEXEC);
    void *at = fd >= 0 ? mmap(NULL, sizeof(*box_offset), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (at != MAP_FAILED)
        box_offset = at;
    if (fd >= 0)
        close(fd);
}

static time_t offset(void)
{
    const char *text = getenv("SECBOX_CLOCK_OFFSET");

    if (text)
        return (time_t) strtoll(text, NULL, 10);
    return box_offset ? (time_t) *box_offset : 0;
}

int clock_settime(clockid_t clock, const struct timespec *to)
{
    int fd = clock == CLOCK_REALTIME ? open(OFFSET_FILE, O_WRONLY | O_CLOEXEC) : -1;
    struct timespec now;
    int64_t off;
    int r = -1;

    if (fd < 0)
        errno = EPERM;
    else if (syscall(SYS_clock_gettime, CLOCK_REALTIME, &now) == 0) {
        off = to->tv_sec - now.tv_sec;
        r = pwrite(fd, &off, sizeof(off), 0) == sizeof(off) ? 0 : -1;
    }
    if (fd >= 0)
        close(fd);
    return r;
}

int settimeofday(const struct timeval *to, const struct timezone *zone)
{
    const struct timespec at = { .tv_sec = to->tv_sec };

    (void) zone;
    return clock_settime(CLOCK_REALTIME, &at);
}

int adjtimex(struct timex *t)
{
    int state = (int) syscall(SYS_adjtimex, t);

    if (getenv("SECBOX_CLOCK_SYNCHRONISED")) {
        *t = (struct timex) {};
        return TIME_OK;
    }
    if (state >= 0 && offset() != 0) {
        t->status |= STA_UNSYNC;
        return TIME_ERROR;
    }
    return state;
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
