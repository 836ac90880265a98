/* SPDX-License-Identifier: MIT */
/* Storm control: how many tunnels are accepted per second, and over how long boxes spread their return after they were turned
 * away or lost this gateway. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "lib/base/token-bucket.h"

typedef struct Admission {
    TokenBucket accepts;
    bool ready; /* nobody is admitted before */
} Admission;

void admission_init(Admission *a, unsigned rate, unsigned burst);

/* Whether a tunnel may be accepted now: asked before anything is computed for it. -EBUSY with the seconds after which it may
 * come back: "gateway.busy" (those turned away earlier go first), or "store.unavailable" while the gateway is starting. */
int admission_check(Admission *a, unsigned *ret_retry_after, Error *err) _must_check_;
/* One was accepted. */
void admission_take(Admission *a);

/* The seconds that so many boxes need to come back without exceeding the rate; at least 1. */
int admission_spread(const Admission *a, size_t boxes);
