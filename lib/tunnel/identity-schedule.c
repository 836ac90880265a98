/* SPDX-License-Identifier: MIT */
/* When a token is due to be replaced. Pure. */
#include "lib/tunnel/identity.h"

#define SECONDS_PER_DAY INT64_C(86400)
#define NIGHT_STARTS (INT64_C(3) * 3600)
#define NIGHT_SPREAD UINT64_C(7200)
/* Beyond this nobody means a date, and sums stay far from overflow. */
#define SECONDS_MAX (UINT64_C(1) << 53)

static uint64_t cap(uint64_t seconds)
{
    return seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
}

/* Seconds to the next time the local clock shows `second_of_day`; never 0. */
static int64_t seconds_to(int64_t second_of_day, int64_t local_now)
{
    int64_t today = ((local_now % SECONDS_PER_DAY) + SECONDS_PER_DAY) % SECONDS_PER_DAY;
    int64_t wait = second_of_day - today;

    return wait > 0 ? wait : wait + SECONDS_PER_DAY;
}

usec_t identity_refresh_delay(uint64_t issued_at, uint64_t expires_at, uint64_t now, uint64_t night_offset_seconds,
                              long utc_offset_seconds)
{
    uint64_t issued = cap(issued_at), expires = cap(expires_at), at;
    int64_t night = seconds_to(NIGHT_STARTS + (int64_t) (night_offset_seconds % NIGHT_SPREAD),
                               (int64_t) cap(now) + utc_offset_seconds);

    if (expires <= issued)
        return 0;
    at = issued + (expires - issued) / 3 * 2 + (expires - issued) % 3 * 2 / 3;
    if (at <= now)
        return 0;
    at -= now;
    return (at < (uint64_t) night ? at : (uint64_t) night) * USEC_PER_SEC;
}
