/* SPDX-License-Identifier: MIT */
/* By what a key may become that of a role: a box has one root, its management key, and what that one names. */
#pragma once

#include "gateway/auth/device-registry.h"

typedef enum ClaimWay {
    CLAIM_BY_BOOTSTRAP,        /* the management key */
    CLAIM_BY_LEGACY_BOOTSTRAP, /* of another role: the box's agent is older than vouchers */
    CLAIM_BY_VOUCHER,          /* the management key has named it */
    CLAIM_AGAIN,               /* it is that role's key already */
    CLAIM_WAITS,               /* for the management key to name it; no bootstrap token helps */
} ClaimWay;

/* All that is asked here is what the gateway itself has recorded of the box, never what the claimant says. */
typedef struct ClaimView {
    Role role;
    bool agent_vouches; /* the box's agent has named keys since it claimed the management key */
    bool is_vouched;    /* this one is among them */
    bool is_present;    /* it is the role's key */
} ClaimView;

/* Pure. */
ClaimWay claim_way(const ClaimView *v);
