/* SPDX-License-Identifier: MIT */
/* What all daemons do in the same way: signals end the loop, systemd hears of readiness and of the watchdog, a timer
 * takes one line. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

/* A loop that SIGTERM and SIGINT end with 0, and that ignores SIGPIPE. */
int service_loop_new(sd_event **ret, Error *err) _must_check_;
/* The same, but for what these signals do; they come again while the loop turns. */
int service_loop_new_stopping(sd_event_signal_handler_t on_stop, void *userdata, sd_event **ret,
                              Error *err) _must_check_;

/* sd_notify(3) READY=1 with a STATUS= sentence; nothing when not run by systemd. */
void service_ready(const char *status);
void service_status(const char *status);
/* It is not ready yet, and will say so again within `again`: systemd is not to give it up before that. */
void service_waits(uint64_t again, const char *what_for);
/* Tells systemd that a reload (SIGHUP) has begun; service_ready() says that it is over. */
void service_reloading(void);

/* Pets systemd's watchdog at half of WATCHDOG_USEC from the loop, and only while `healthy` (may be NULL) returns non-zero. */
int service_watchdog_start(sd_event *event, int (*healthy)(void *userdata), void *userdata, Error *err) _must_check_;

/* One-shot timer on CLOCK_BOOTTIME, `delay` from now. A *source that is set already is replaced (re-arming). */
int timer_arm(sd_event *event, sd_event_source **source, usec_t delay, sd_event_time_handler_t handler,
              void *userdata) _must_check_;
/* The same for a source that always has this handler and userdata: one that is set already is only given its new time, which
 * costs a fraction. */
int timer_rearm(sd_event *event, sd_event_source **source, usec_t delay, sd_event_time_handler_t handler,
                void *userdata) _must_check_;
/* NULL-safe; the source stays allocated and can be armed again. */
void timer_disarm(sd_event_source *source);
