/* SPDX-License-Identifier: MIT */
/* A bound for what goes out. Pure: `now` is a parameter, in microseconds of any clock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"

/* So many bytes a second, and for one second ahead; what is taken last may be the one too many. */
typedef struct UplinkBudget {
    uint64_t rate; /* bytes a second */
    int64_t left;
    usec_t at;
} UplinkBudget;

UplinkBudget uplink_budget_make(uint64_t rate, usec_t now);
/* Whether so many bytes may go now, which are then counted. */
bool uplink_budget_take(UplinkBudget *b, size_t len, usec_t now);
/* For what is not passed over: how long so many bytes, which are then counted, have to wait for their turn; USEC_INFINITY: for
 * longer than `patience`, and nothing is counted. */
usec_t uplink_budget_queue(UplinkBudget *b, size_t len, usec_t now, usec_t patience);
