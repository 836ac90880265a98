/* SPDX-License-Identifier: MIT */
/* See idle.h for the rule. */
#include "gateway/sessions/idle.h"

void idle_start(Idle *i, usec_t now)
{
    *i = (Idle) { .active_at = now, .large_at = now, .exchange_since = now };
}

void idle_bytes(Idle *i, size_t n, usec_t now)
{
    if (now - i->exchange_since >= IDLE_EXCHANGE) {
        i->exchange_since = now;
        i->exchange_bytes = 0;
    }
    i->exchange_bytes = n > SIZE_MAX - i->exchange_bytes ? SIZE_MAX : i->exchange_bytes + n;
    if (i->exchange_bytes >= IDLE_EXCHANGE_BYTES)
        i->large_at = i->active_at = now;
    else if (now - i->large_at < IDLE_SILENCE)
        i->active_at = now;
}

usec_t idle_time(const Idle *i, usec_t now)
{
    return now > i->active_at ? now - i->active_at : 0;
}
