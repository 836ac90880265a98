/* SPDX-License-Identifier: MIT */
/* Hybrid public key encryption (RFC 9180) in its base mode, one message for one key: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, and
 * AES-GCM. Its parts are libcrypto's. Keys on disk are PKCS#8 PEM with mode 0600. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

#define HPKE_KEY_SIZE 32 /* of a public key: RFC 7748, §5 */
#define HPKE_OVERHEAD                                                                                                  \
    (HPKE_KEY_SIZE + 16) /* a sealed message is so much longer: the sender's key before it, a tag behind */

typedef enum HpkeCipher {
    HPKE_AES_128_GCM = 1,
    HPKE_AES_256_GCM = 2,
} HpkeCipher;

typedef struct HpkeKey HpkeKey;

/* Loads, or makes and saves durably when it is missing. key.bad, key.bad-mode, key.generate. */
int hpke_key_load_or_make(const char *path, HpkeKey **ret, Error *err) _must_check_;
/* One that a person keeps: under a pass phrase, asked for on the terminal, if `sealed`. */
int hpke_key_make(HpkeKey **ret, Error *err) _must_check_;
int hpke_key_print(const HpkeKey *k, bool sealed, char **ret, Error *err) _must_check_;
int hpke_key_load_asking(const char *path, HpkeKey **ret, Error *err) _must_check_;
int hpke_key_from_private(const uint8_t private[static HPKE_KEY_SIZE], HpkeKey **ret) _must_check_;
HpkeKey *hpke_key_free(HpkeKey *k);
DEFINE_CLEANUP(HpkeKey, hpke_key_free)
int hpke_key_public(const HpkeKey *k, uint8_t ret[static HPKE_KEY_SIZE]) _must_check_;

typedef struct HpkeText {
    const void *data;
    size_t len;
} HpkeText;

/* `ret` has room for the message and HPKE_OVERHEAD. -EINVAL for a key that is none, -EIO. */
int hpke_seal(HpkeCipher cipher, const uint8_t to[static HPKE_KEY_SIZE], HpkeText info, HpkeText aad, HpkeText message,
              uint8_t *ret) _must_check_;
/* `ret` has room for sealed.len - HPKE_OVERHEAD. -EBADMSG: it is not for this key, info and aad, or was changed. */
int hpke_open(HpkeCipher cipher, const HpkeKey *k, HpkeText info, HpkeText aad, HpkeText sealed,
              uint8_t *ret) _must_check_;

/* AES-GCM (NIST SP 800-38D) with a key of 16 or 32 bytes, whose tag stands behind the text. */
#define AES_GCM_NONCE_SIZE 12
#define AES_GCM_TAG_SIZE 16
int aes_gcm_seal(HpkeText key, const uint8_t nonce[static AES_GCM_NONCE_SIZE], HpkeText aad, HpkeText message,
                 uint8_t *ret) _must_check_;
int aes_gcm_open(HpkeText key, const uint8_t nonce[static AES_GCM_NONCE_SIZE], HpkeText aad, HpkeText sealed,
                 uint8_t *ret) _must_check_;
