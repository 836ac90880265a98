/* SPDX-License-Identifier: MIT */
/* How long to wait before the next try. */
#include "lib/event/backoff.h"

/* Uniform in 0..max from 64 random bits (multiply and shift; the bias is under 2^-20 for any delay of years). */
static usec_t scale(uint64_t random, usec_t max)
{
    return (usec_t) (((unsigned __int128) random * ((unsigned __int128) max + 1)) >> 64);
}

/* Other 64 bits from the same number, so that the two parts of a delay do not move together. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 29;
    x *= UINT64_C(0xd1b54a32d192ed03);
    return x ^ (x >> 32);
}

static usec_t ceiling(const Backoff *b)
{
    if (b->tries >= 63 || b->base_usec > (b->cap_usec >> b->tries))
        return b->cap_usec;
    return b->base_usec << b->tries;
}

usec_t backoff_next(Backoff *b, uint64_t random, usec_t retry_after_usec, usec_t spread_usec)
{
    usec_t delay = scale(random, ceiling(b)), floor = retry_after_usec;
    usec_t extra = spread_usec > 0 ? scale(mix(random), spread_usec) : 0;

    floor = floor > USEC_INFINITY - extra ? USEC_INFINITY : floor + extra;
    if (b->tries < 63)
        b->tries++;
    return delay > floor ? delay : floor;
}

void backoff_session_ended(Backoff *b, usec_t lasted_usec)
{
    if (lasted_usec >= b->stable_usec)
        b->tries = 0;
}
