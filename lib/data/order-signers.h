/* SPDX-License-Identifier: MIT */
/* Whose orders a box takes: /etc/tucomunidad/trust/signers/NAME.pub, one public key each, and the file `threshold` there with how
 * many of them have to sign (1). Nobody's key is there: whoever the gateway has let in may give orders. */
#pragma once

#include "lib/data/order-signer.h"

#define ORDER_SIGNERS_MAX 32
#define ORDER_THRESHOLD_MAX 8
#define ORDER_SIGNER_SUFFIX ".pub"
#define ORDER_THRESHOLD_NAME "threshold"

typedef struct OrderSigners {
    OrderSigner *list; /* by their names; owned */
    size_t n;          /* 0: nobody is pinned */
    unsigned threshold;
} OrderSigners;

/* Everything that is wrong with the folder is a failure: who may give orders is never guessed. signer.bad-key, signer.bad-mode,
 * signer.bad-threshold, signer.twice, signer.too-many, signer.unreadable */
int order_signers_load(OrderSigners *ret, Error *err) _must_check_;
/* For whoever mends it: the keys alone, whatever `threshold` says; the threshold given back is 1. */
int order_signers_load_keys(OrderSigners *ret, Error *err) _must_check_;
void order_signers_done(OrderSigners *s);
/* Whether only root may change what is at this path, and it is no link: signer.unreadable, signer.bad-mode. */
int order_signers_check_place(const char *path, Error *err) _must_check_;

/* Appends; takes what is in *signer. -EEXIST: this key is there already. */
int order_signers_add(OrderSigners *s, OrderSigner *signer) _must_check_;
const OrderSigner *order_signers_find(const OrderSigners *s, const char *fingerprint);
