/* SPDX-License-Identifier: MIT */
/* Timers that may be up to a second late, thousands of them on one source of the loop: 48 bytes each instead of 350, and
 * nothing is allocated when one is armed. A hashed wheel of seconds. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define COARSE_STEP USEC_PER_SEC

typedef struct CoarseClock CoarseClock;

/* Part of its owner, zeroed to begin with; to be disarmed before the owner is freed. */
typedef struct CoarseTimer {
    struct CoarseTimer *next, **link; /* link = what points to this one; NULL = not armed */
    usec_t at;
    CoarseClock *clock; /* while armed */
    void (*fire)(void *userdata);
    void *userdata;
} CoarseTimer;

int coarse_clock_new(sd_event *event, CoarseClock **ret) _must_check_;
CoarseClock *coarse_clock_ref(CoarseClock *c);
/* Dropping the last reference disarms all of its timers. NULL-safe; returns NULL. */
CoarseClock *coarse_clock_unref(CoarseClock *c);
DEFINE_CLEANUP(CoarseClock, coarse_clock_unref)

/* Fires once, from the loop, not before `delay` (CLOCK_BOOTTIME) and up to COARSE_STEP after it. Arming it again moves
 * it. */
int coarse_timer_arm(CoarseClock *c, CoarseTimer *t, usec_t delay, void (*fire)(void *userdata),
                     void *userdata) _must_check_;
void coarse_timer_disarm(CoarseTimer *t);
