/* SPDX-License-Identifier: MIT */
/* A bootstrap token is good once, for the management key: the first key that comes with it is the key, and the same key may come
 * again. Another key is refused and raised as an alarm. Keys of other roles are taken when the management key has named them
 * (gateway/devices/vouchers.h); by the token, once for each role, only of boxes whose agent is too old for that. */
#pragma once

#include "gateway/devices/device-connection.h"

/* What claims work with; all of it borrowed. */
typedef struct Claims {
    Store *store;
    DeviceRegistry *registry;
    const DeviceTokens *tokens;
    DeviceConns *conns;
    unsigned bootstrap_hours; /* for a box that an enrolment token lets in */
} Claims;

typedef struct KeyClaim KeyClaim;

typedef struct KeyClaimRequest {
    const char *device; /* a valid id */
    Role role;
    const char *bootstrap; /* as the box sent it; NULL: it sent none, which is no claim of ROLE_MGMT */
    const Key *key;        /* whose possession is proved */
    const char *peer;      /* for the alarm */
    const char
        *enrolment; /* the token by which the box asks to be let in (gateway/devices/claim-enrolment.h); may be NULL */
    const cJSON *machine; /* what it then says of itself; may be NULL */
} KeyClaimRequest;

/* r = 0: the key is registered, and may speak for the device; is_new when it was not before. Otherwise negative:
 * -EKEYREJECTED bootstrap.invalid, bootstrap.expired; -EACCES device.blocked, claim.not-vouched; -EEXIST device.bootstrap-reused;
 * enrolment.*; store.*. Runs once, from the loop; the claim is over and freed afterwards. */
typedef void (*key_claim_done_t)(KeyClaim *k, int r, bool is_new, const Error *err, void *userdata);

/* Looks the token up and registers the key; all of the request is copied. Errors: store.busy, store.unavailable. */
int key_claim_start(const Claims *cl, const KeyClaimRequest *request, key_claim_done_t on_done, void *userdata,
                    KeyClaim **ret, Error *err) _must_check_;
/* on_done is not called any more; what the database was told stays. NULL-safe. */
KeyClaim *key_claim_free(KeyClaim *k);
