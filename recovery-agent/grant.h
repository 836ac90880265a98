/* SPDX-License-Identifier: MIT */
/* A break-glass grant opens a box that is well, so on a box whose signers are pinned it has to be signed by them. */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

#include "lib/base/error.h"

typedef struct GrantView {
    const char *device;
    uint64_t time_floor; /* seconds since 1970 that have certainly passed: the box's own clock may be anything */
} GrantView;

/* What counts of it. */
typedef struct GrantSigned {
    char *who;     /* have signed it; NULL where no signers are pinned and nobody has to */
    char *account; /* for whom alone; NULL where that is no part of what was signed */
} GrantSigned;

void grant_signed_done(GrantSigned *g);

/* Whether a recovery.open with breakGlass counts. *seconds is cut to what is left at view->time_floor of the time that was signed.
 * One that was signed without an account, as operators' programs of before do, counts for root alone, whom that form was for when
 * it was made. -EACCES: order.unsigned, order.unknown-signer, order.bad-signature, order.too-few, order.other-kind,
 * order.other-box, order.other-content (another account), order.no-account, order.expired; order.malformed; what trust_load()
 * says. */
int grant_check_signed(const cJSON *message, const GrantView *view, uint64_t *seconds, GrantSigned *ret,
                       Error *err) _must_check_;
