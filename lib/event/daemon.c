/* SPDX-License-Identifier: MIT */
/* The parts of a daemon that are always the same. */
#include "lib/event/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

/* For a loop that is held up. */
#define START_GRACE (25 * USEC_PER_SEC)

static int on_stop_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    (void) si;
    (void) userdata;
    return sd_event_exit(sd_event_source_get_event(s), 0);
}

int service_loop_new(sd_event **ret, Error *err)
{
    return service_loop_new_stopping(on_stop_signal, NULL, ret, err);
}

int service_loop_new_stopping(sd_event_signal_handler_t on_stop, void *userdata, sd_event **ret, Error *err)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    static const int stop[] = { SIGTERM, SIGINT };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    int r = sd_event_new(&event);

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(stop); i++)
        r = sd_event_add_signal(event, NULL, stop[i] | SD_EVENT_SIGNAL_PROCMASK, on_stop, userdata);
    if (r >= 0 && sigaction(SIGPIPE, &ignore, NULL) < 0)
        r = -errno;
    if (r < 0)
        return error_from_errno(err, r, "cannot make an event loop");
    *ret = TAKE_PTR(event);
    return 0;
}

void service_ready(const char *status)
{
    (void) sd_notifyf(0, "READY=1\nSTATUS=%s", status ? status : "");
}

void service_status(const char *status)
{
    (void) sd_notifyf(0, "STATUS=%s", status);
}

void service_waits(uint64_t again, const char *what_for)
{
    uint64_t until = again + START_GRACE;

    (void) sd_notifyf(0, "STATUS=waiting: %s\nEXTEND_TIMEOUT_USEC=%" PRIu64, what_for, until);
}

void service_reloading(void)
{
    struct timespec now = {};

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                      (unsigned long long) now.tv_sec * USEC_PER_SEC + (unsigned long long) now.tv_nsec / 1000);
}

typedef struct Watchdog {
    int (*healthy)(void *userdata);
    void *userdata;
    usec_t interval;
} Watchdog;

static int on_watchdog(sd_event_source *s, uint64_t usec, void *userdata)
{
    Watchdog *w = userdata;
    int r;

    (void) usec;
    if (!w->healthy || w->healthy(w->userdata))
        (void) sd_notify(0, "WATCHDOG=1");
    r = sd_event_source_set_time(s, boottime_usec() + w->interval);
    return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int service_watchdog_start(sd_event *event, int (*healthy)(void *userdata), void *userdata, Error *err)
{
    _cleanup_(sd_event_source_unrefp) sd_event_source *s = NULL;
    uint64_t interval = 0;
    int r = sd_watchdog_enabled(0, &interval);

    if (r == 0)
        return 0;
    if (r < 0)
        return error_from_errno(err, r, "the service manager's WATCHDOG_USEC is not usable");
    Watchdog *w = calloc(1, sizeof(*w));
    if (!w)
        return error_from_errno(err, -ENOMEM, "cannot start the watchdog");
    *w = (Watchdog) { .healthy = healthy, .userdata = userdata, .interval = interval / 2 };
    r = timer_arm(event, &s, 0, on_watchdog, w);
    if (r >= 0)
        r = sd_event_source_set_destroy_callback(s, free);
    if (r < 0) {
        free(w);
        return error_from_errno(err, r, "cannot start the watchdog");
    }
    r = sd_event_source_set_floating(s, 1);
    return r < 0 ? error_from_errno(err, r, "cannot start the watchdog") : 0;
}

int timer_arm(sd_event *event, sd_event_source **source, usec_t delay, sd_event_time_handler_t handler, void *userdata)
{
    _cleanup_(sd_event_source_unrefp) sd_event_source *s = NULL;
    usec_t now = boottime_usec();
    int r = sd_event_add_time(event, &s, CLOCK_BOOTTIME, delay > USEC_INFINITY - now ? USEC_INFINITY : now + delay,
                              10 * USEC_PER_MSEC, handler, userdata);

    if (r < 0)
        return r;
    sd_event_source_disable_unref(*source);
    *source = TAKE_PTR(s);
    return 0;
}

int timer_rearm(sd_event *event, sd_event_source **source, usec_t delay, sd_event_time_handler_t handler,
                void *userdata)
{
    usec_t now = boottime_usec();

    if (!*source)
        return timer_arm(event, source, delay, handler, userdata);
    int r = sd_event_source_set_time(*source, delay > USEC_INFINITY - now ? USEC_INFINITY : now + delay);
    return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

void timer_disarm(sd_event_source *source)
{
    if (source)
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
}
