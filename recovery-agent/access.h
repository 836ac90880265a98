/* SPDX-License-Identifier: MIT */
/* Whether people are let in now. Pure. This is about new sessions; one that is open stays open until its grant ends. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "recovery-agent/verdict.h"

typedef struct Access {
    bool started;                    /* the main way has been healthy since our start; until it is, recovery is open */
    bool wedged;                     /* on our own verdict, until the main way was healthy for a while */
    usec_t cloud_since, cloud_until; /* the cloud has ordered it; 0 = not */
    usec_t break_glass_until;        /* a person has opened it, whatever the state of the main way */
} Access;

/* Seconds are capped at a day. */
void access_order(Access *a, bool break_glass, uint64_t seconds, usec_t now);
/* After each round; healthy_for is how long the main way has been healthy, 0 = it is not. */
void access_update(Access *a, VerdictState state, usec_t healthy_for, usec_t close_after, usec_t now);
/* "break-glass", "wedged", "cloud", "starting", or NULL when it is closed. */
const char *access_reason(const Access *a, usec_t now);
