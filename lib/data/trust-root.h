/* SPDX-License-Identifier: MIT */
/* The root document: whose orders boxes take, signed like an order (lib/data/order-envelope.h), so that keys are changed without
 * anybody at the boxes. It is signed by enough of the keys that counted before, and by enough of those that it names. Pure. */
#pragma once

#include "lib/data/order.h"
#include "lib/data/order-signers.h"

#define TRUST_ROOT_DOMAIN "secbox-trust@root.v1"
#define TRUST_ROOT_LIFETIME_MAX (10 * ORDER_LIFETIME_MAX)
/* A version may be this far above the last one: whoever could count to the end could make a box refuse all to come. */
#define TRUST_ROOT_STEP_MAX 1000
#define TRUST_KEY_NAME_MAX 64

typedef struct TrustKey {
    char *name; /* a file's name, without the suffix */
    char *key;  /* "TYPE BASE64", as in order_signer_parse() */
    cJSON *rest;
} TrustKey;

typedef struct TrustRoot {
    char *kind;       /* "root" */
    uint64_t version; /* 1 and up: each is above that of those before it */
    char **devices;   /* ids of boxes, or ORDER_ANY_BOX */
    usec_t issued, expires;
    char *reason; /* or NULL */
    unsigned threshold;
    TrustKey *keys;
    size_t n_keys;
    cJSON *rest;
} TrustRoot;

/* Whether a key may have this name: letters, digits, '.', '_' and '-', not beginning with '.'. */
bool trust_key_name_is_valid(const char *name);

/* root.malformed: also what holds a member that is not known here. */
int trust_root_read(const char *text, size_t len, TrustRoot *ret, Error *err) _must_check_;
/* A new string; NULL when out of memory. */
char *trust_root_print(const TrustRoot *root);
void trust_root_done(TrustRoot *root);
/* One more key, of "TYPE BASE64 [COMMENT]". root.malformed, signer.bad-key */
int trust_root_add_key(TrustRoot *root, const char *name, const char *text, Error *err) _must_check_;
/* The keys that it names; names are theirs. */
int trust_root_signers(const TrustRoot *root, OrderSigners *ret, Error *err) _must_check_;

/* What an envelope holds. `before` are the keys that count until then, and their signatures are checked before anything is read;
 * NULL: it is in force already, or nobody judges it here. ret_who: who of `before` has signed it, or of its own keys; NULL: not
 * wanted. order.malformed, order.unknown-signer, order.bad-signature, order.too-few, root.malformed; root.not-agreed: too few of
 * its own keys have. */
int trust_root_open(const cJSON *envelope, const OrderSigners *before, TrustRoot *ret, char **ret_who,
                    Error *err) _must_check_;
/* The statement alone, of which nothing was checked but its form. */
int trust_root_peek(const cJSON *envelope, TrustRoot *ret, char **ret_text, Error *err) _must_check_;

/* Whether it is for this box, now, and not one from before: root.other-box, root.expired, root.not-yet, root.older, root.jump.
 * Of the view last_issued does not count. */
int trust_root_check(const TrustRoot *root, const OrderView *view, uint64_t floor, Error *err) _must_check_;
