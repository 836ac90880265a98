/* SPDX-License-Identifier: MIT */
/* How often the guards' interface may be asked. Each session, and each browser that a guard has used, counts by itself: rootless
 * port forwarding shows one address for everybody. All others count as one, so that a stranger holds up no guard. Questions about
 * people are bounded further: whoever has stolen a session must not try plates and documents against residents in bulk. (Today's
 * guests and the bans are in every tablet's copy.) Pure: `now` is of a clock that does not run backwards. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

typedef struct RequestThrottle RequestThrottle;

/* rate: requests a second, for ten seconds ten times as many; questions about people a tenth of it, at most a minute's at once.
 * 0: no bounds. */
RequestThrottle *request_throttle_new(unsigned rate);
RequestThrottle *request_throttle_free(RequestThrottle *t);
DEFINE_CLEANUP(RequestThrottle, request_throttle_free)

/* who: what names the session or browser, NULL: a stranger. Counts a request, and returns 0; or how long there are none left, and
 * counts nothing. */
usec_t request_throttle_take(RequestThrottle *t, const char *who, bool about_people, usec_t now);
