/* SPDX-License-Identifier: MIT */
#include "lib/base/uplink-budget.h"

UplinkBudget uplink_budget_make(uint64_t rate, usec_t now)
{
    return (UplinkBudget) { .rate = rate, .left = (int64_t) rate, .at = now };
}

bool uplink_budget_take(UplinkBudget *b, size_t len, usec_t now)
{
    usec_t passed = now > b->at ? now - b->at : 0;
    int64_t full = (int64_t) b->rate;

    /* after a minute it is full, whatever was owed */
    b->left += (int64_t) (b->rate * (passed < USEC_PER_MINUTE ? passed : USEC_PER_MINUTE) / USEC_PER_SEC);
    b->left = b->left < full ? b->left : full;
    b->at = now > b->at ? now : b->at;
    if (b->left <= 0)
        return false;
    b->left -= (int64_t) len;
    return true;
}
