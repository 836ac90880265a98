/* SPDX-License-Identifier: MIT */
/* Storm control: how many tunnels are accepted in a second, and over which time the boxes come back that were sent away
 * or lost this gateway. */
#pragma once

#include "gateway/gateway.h"

void admission_init(Gateway *g, unsigned rate, unsigned burst);

/* Whether a tunnel may be accepted now: asked before anything is computed for it. -EBUSY with the seconds after which it may
 * come back: "gateway.busy", those sent away before counted in; "store.unavailable", the gateway is starting. */
int admission_check(Gateway *g, unsigned *ret_retry_after, Error *err) _must_check_;
/* One was accepted. */
void admission_take(Gateway *g);

/* The seconds over which that many boxes come back without passing the rate; at least 1. */
int admission_spread(const Gateway *g, size_t boxes);
