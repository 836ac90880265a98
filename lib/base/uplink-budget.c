/* SPDX-License-Identifier: MIT */
#include "lib/base/uplink-budget.h"

UplinkBudget uplink_budget_make(uint64_t rate, usec_t now)
{
    return (UplinkBudget) { .rate = rate, .left = (int64_t) rate, .at = now };
}

static void fill(UplinkBudget *b, usec_t now)
{
    usec_t passed = now > b->at ? now - b->at : 0;
    int64_t full = (int64_t) b->rate;

    /* after a minute it is full, whatever was owed */
    b->left += (int64_t) (b->rate * (passed < USEC_PER_MINUTE ? passed : USEC_PER_MINUTE) / USEC_PER_SEC);
    b->left = b->left < full ? b->left : full;
    b->at = now > b->at ? now : b->at;
}

bool uplink_budget_take(UplinkBudget *b, size_t len, usec_t now)
{
    fill(b, now);
    if (b->left <= 0)
        return false;
    b->left -= (int64_t) len;
    return true;
}

usec_t uplink_budget_queue(UplinkBudget *b, size_t len, usec_t now, usec_t patience)
{
    fill(b, now);
    usec_t wait = b->left > 0 ? 0 : ((uint64_t) -b->left + 1) * USEC_PER_SEC / b->rate;
    if (wait > patience)
        return USEC_INFINITY;
    b->left -= (int64_t) len;
    return wait;
}
