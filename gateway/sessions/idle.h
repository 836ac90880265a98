/* SPDX-License-Identifier: MIT */
/* Whether anybody does something in a session, judged by how many bytes went when. Pure: `now` is a parameter.
 *
 * What goes within a second of its first byte, in both directions together, is one exchange. One of fewer than 256 bytes is
 * what ssh's keepalive looks like (a request and its answer), and a keystroke and its echo, too. So a small one counts as
 * long as the last larger one is less than 5 s ago, and does not prolong that: else `ServerAliveInterval 1` would hold a
 * session for ever. Somebody who types makes larger ones, by three keys in a second or by what they cause. */
#pragma once

#include <stddef.h>

#include "lib/base/clock.h"

#define IDLE_EXCHANGE (1 * USEC_PER_SEC)
#define IDLE_EXCHANGE_BYTES 256
#define IDLE_SILENCE (5 * USEC_PER_SEC)

typedef struct Idle {
    usec_t active_at;      /* when somebody last did something */
    usec_t large_at;       /* the last exchange that was none of the small ones */
    usec_t exchange_since; /* the present exchange */
    size_t exchange_bytes;
} Idle;

void idle_start(Idle *i, usec_t now);
/* Bytes of payload went, in either direction. */
void idle_bytes(Idle *i, size_t n, usec_t now);
/* For how long nobody has done anything. */
usec_t idle_time(const Idle *i, usec_t now);
