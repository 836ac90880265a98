/* SPDX-License-Identifier: MIT */
/* The member "order" of messages: {"statement": Base64, "signatures": [{"keyId", "signature"} or {"sshsig"}]}. */
#pragma once

#include "lib/data/json.h"
#include "lib/data/order.h"
#include "lib/data/order-signers.h"

/* of a root document: enough of the keys before it, and enough of its own */
#define ORDER_SIGNATURES_MAX 16

/* The bytes of the statement, after enough of the signers have proved to have signed just these for this purpose; new, with a NUL
 * behind. ret_who: their names, "ana, berta"; new. -EBADMSG order.malformed; -EACCES order.unknown-signer, order.bad-signature,
 * order.too-few. */
int order_envelope_open(const cJSON *envelope, const char *domain, const OrderSigners *signers, char **ret,
                        size_t *ret_len, char **ret_who, Error *err) _must_check_;

/* Of some form, for who only carries it: order.malformed otherwise. */
int order_envelope_check_form(const cJSON *envelope, Error *err) _must_check_;

/* Making one. */
cJSON *order_envelope_new(const char *statement, size_t len);
int order_envelope_sign(cJSON *envelope, const char *domain, const char *statement, size_t len, const SignerKey *key,
                        Error *err) _must_check_;
/* What `ssh-keygen -Y sign` has printed. order.malformed */
int order_envelope_add_ssh(cJSON *envelope, const char *armour, Error *err) _must_check_;
