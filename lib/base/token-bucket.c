/* SPDX-License-Identifier: MIT */
/* Tokens are counted in millionths, so that a microsecond at any rate is a whole number of them. */
#include "lib/base/token-bucket.h"

#define ONE UINT64_C(1000000)
#define LINE_MAX_USEC USEC_PER_HOUR

static uint64_t clamp(uint64_t n)
{
    return n < 1 ? 1 : n > TOKEN_RATE_MAX ? TOKEN_RATE_MAX : n;
}

TokenBucket token_bucket_make(uint64_t rate, uint64_t burst, usec_t now)
{
    return (TokenBucket) { .rate = clamp(rate), .burst = clamp(burst), .left = clamp(burst) * ONE, .at = now };
}

static void catch_up(TokenBucket *b, usec_t now)
{
    if (now <= b->at)
        return;
    usec_t passed = now - b->at;
    b->at = now;
    /* at 1 a second this fills the largest bucket, and at the largest rate it does not overflow */
    if (passed > TOKEN_RATE_MAX * USEC_PER_SEC)
        passed = TOKEN_RATE_MAX * USEC_PER_SEC;
    uint64_t earned = passed * b->rate, full = b->burst * ONE;
    b->left = earned > full - b->left ? full : b->left + earned;
    b->line = earned > b->line ? 0 : b->line - earned;
}

bool token_bucket_has(TokenBucket *b, usec_t now)
{
    catch_up(b, now);
    return b->left >= ONE;
}

bool token_bucket_take(TokenBucket *b, usec_t now)
{
    if (!token_bucket_has(b, now))
        return false;
    b->left -= ONE;
    return true;
}

usec_t token_bucket_queue(TokenBucket *b, usec_t now)
{
    catch_up(b, now);
    if (b->line < b->rate * LINE_MAX_USEC)
        b->line += ONE;
    usec_t turn = b->line / b->rate;
    return turn < LINE_MAX_USEC ? turn : LINE_MAX_USEC;
}
