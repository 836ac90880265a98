/* SPDX-License-Identifier: MIT */
/* When a support session ends by itself, and why. Pure: `now` is a parameter, on CLOCK_BOOTTIME. */
#pragma once

#include <stdbool.h>

#include "gateway/sessions/idle.h"
#include "lib/base/clock.h"

typedef struct SessionLimits {
    usec_t ends_at;     /* the grant's end or the longest length, whichever comes first */
    bool ends_by_grant; /* which of them */
    usec_t idle_limit;
} SessionLimits;

/* Why a session ends: an id for programs and a sentence for people, both NULL while it goes on. */
typedef struct SessionVerdict {
    const char *id, *sentence;
    usec_t look_again; /* when that may change; only while it goes on */
} SessionVerdict;

/* Until it is open, only the grant's end limits a session. */
SessionLimits session_limits_of_grant(usec_t now, usec_t grant_left, usec_t idle_limit);
/* From its opening on, its longest length does, too. */
void session_limits_open(SessionLimits *l, usec_t now, usec_t longest);
SessionVerdict session_limits_judge(const SessionLimits *l, const Idle *idle, usec_t now);
