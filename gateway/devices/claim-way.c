/* SPDX-License-Identifier: MIT */
#include "gateway/devices/claim-way.h"

ClaimWay claim_way(const ClaimView *v)
{
    if (v->role == ROLE_MGMT)
        return CLAIM_BY_BOOTSTRAP;
    if (!v->agent_vouches)
        return CLAIM_BY_LEGACY_BOOTSTRAP;
    /* also one that is not named: its program may be older than the agent, and has nothing else to go on with */
    if (v->is_present)
        return CLAIM_AGAIN;
    return v->is_vouched ? CLAIM_BY_VOUCHER : CLAIM_WAITS;
}
