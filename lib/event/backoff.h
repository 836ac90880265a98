/* SPDX-License-Identifier: MIT */
/* Full jitter: the delay before try n is uniform in 0 .. min(cap, base * 2^n). Pure: randomness is a parameter. */
#pragma once

#include <stdint.h>

#include "lib/base/clock.h"

typedef struct Backoff {
    usec_t base_usec, cap_usec;
    usec_t stable_usec; /* a connection must have lasted this long before the count starts again */
    unsigned tries;
} Backoff;

#define BACKOFF_TUNNEL                                                                                                 \
    ((Backoff) { .base_usec = 1 * USEC_PER_SEC, .cap_usec = 120 * USEC_PER_SEC, .stable_usec = 10 * USEC_PER_SEC })

/* The next delay, from a uniformly random number; counts the try. retry_after_usec (0 = none) is a floor given by the
 * server, to which up to spread_usec is added at random. */
usec_t backoff_next(Backoff *b, uint64_t random, usec_t retry_after_usec, usec_t spread_usec);
/* Call when a connection ends: forgets the tries if it lasted stable_usec or more. */
void backoff_session_ended(Backoff *b, usec_t lasted_usec);
