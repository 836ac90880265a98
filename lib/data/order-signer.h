/* SPDX-License-Identifier: MIT */
/* Public keys of those who sign orders, and their signatures: raw Ed25519, and OpenSSH's (PROTOCOL.sshsig) by ssh-ed25519 keys
 * and by hardware keys (sk-ssh-ed25519, PROTOCOL.u2f). */
#pragma once

#include "lib/data/key-ed25519.h"
#include "lib/data/ssh-wire.h"

#define ORDER_SSH_SIGNATURE_MAX 4096 /* bytes of the wire form */

typedef struct OrderSigner {
    char *name;        /* of the file that it is from, or NULL; owned */
    char *application; /* of a hardware key, else NULL; owned */
    uint8_t public[ED25519_SIZE];
    char fingerprint[SSH_FINGERPRINT_SIZE];
} OrderSigner;

/* "TYPE BASE64 [COMMENT]", one line, as ssh-keygen and `secbox-fleet keygen` write it. signer.bad-key */
int order_signer_parse(const char *text, OrderSigner *ret, Error *err) _must_check_;
void order_signer_done(OrderSigner *s);

/* An OpenSSH signature's wire form, taken apart; borrowed. */
typedef struct SshSignature {
    SshText key; /* the public key's wire form: only good for finding the signer */
    SshText domain, hash, signature;
} SshSignature;

/* -EBADMSG */
int ssh_signature_parse(const uint8_t *data, size_t len, SshSignature *ret) _must_check_;
/* Whether it is the signer's over these bytes, for that namespace. -EBADMSG; -EIO, -ENOMEM. */
int ssh_signature_verify(const SshSignature *s, const OrderSigner *signer, const char *domain, const void *data,
                         size_t len) _must_check_;
/* The bytes between the lines "-----BEGIN SSH SIGNATURE-----" and "-----END …": new. -EBADMSG, -ENOMEM. */
int ssh_signature_unarmour(const char *text, uint8_t **ret, size_t *ret_len) _must_check_;
