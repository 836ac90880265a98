/* SPDX-License-Identifier: MIT */
/* Whose orders a box takes now: the keys of the root document that is in force, /etc/tucomunidad/trust/signers/root.json, and where
 * there is none, those that are pinned beside it (lib/data/order-signers.h). */
#pragma once

#include "lib/data/trust-root.h"

#define TRUST_ROOT_NAME "root.json"
#define TRUST_ROOT_FILE_MAX (160 * 1024)

typedef struct Trust {
    OrderSigners signers; /* n is 0: nobody is pinned */
    TrustRoot root;       /* version is 0: none is in force */
    char *root_signed_by; /* of its own keys; NULL: none is in force */
} Trust;

/* What is wrong is a failure, as in order_signers_load(), with its ids; root.damaged: the document is in force, and cannot be read
 * or is not signed by its own keys. */
int trust_load(Trust *ret, Error *err) _must_check_;
void trust_done(Trust *t);
/* -EACCES root.expired: the document has to be followed by a newer one before orders are taken again. */
int trust_check_time(const Trust *t, const OrderView *view, Error *err) _must_check_;
