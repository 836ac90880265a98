/* SPDX-License-Identifier: MIT */
/* The way into /recovery without a token: whoever connects gets a nonce and has one hello to prove the box's key over it.
 * Nothing of it depends on a clock, and what strangers can make us hold is bounded. */
#pragma once

#include "gateway/gateway.h"

/* Upgrades and challenges. On failure nothing was answered yet. */
int challenge_accept(Gateway *g, HttpExchange *x, Error *err) _must_check_;
/* For the end of the program. NULL-safe. */
void challenge_free(void *challenge);
