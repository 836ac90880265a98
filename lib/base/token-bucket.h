/* SPDX-License-Identifier: MIT */
/* A rate with a burst, and a waiting line for those who come when no token is left. Pure: `now` is a parameter, in
 * microseconds of any clock that does not run backwards. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"

#define TOKEN_RATE_MAX UINT64_C(1000000)

typedef struct TokenBucket {
    uint64_t rate, burst; /* tokens per second; tokens */
    uint64_t left, line;  /* in millionths: what can be taken; how many were sent away and have not had their turn */
    usec_t at;
} TokenBucket;

/* A full one. rate and burst are brought into the range from 1 to TOKEN_RATE_MAX. */
TokenBucket token_bucket_make(uint64_t rate, uint64_t burst, usec_t now);

/* Whether one can be taken now. */
bool token_bucket_has(TokenBucket *b, usec_t now);
/* Takes one; false: there is none. */
bool token_bucket_take(TokenBucket *b, usec_t now);
/* Puts whoever got none behind all who were sent away before, and returns the time until its turn, at most an hour. The
 * line gets shorter at the rate of the bucket. */
usec_t token_bucket_queue(TokenBucket *b, usec_t now);
