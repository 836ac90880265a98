/* SPDX-License-Identifier: MIT */
/* P-256 key pairs (FIPS 186-5) by libcrypto: made where they live, stored as PKCS#8 PEM with mode 0600. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

typedef struct Key Key;

int key_generate(Key **ret, Error *err) _must_check_;
/* Private key from a PEM file. -ENOENT when missing; "key.bad" when it is not a P-256 private key,
 * "key.bad-mode" when anybody but its owner has rights to it. */
int key_load(const char *path, Key **ret, Error *err) _must_check_;
/* Loads, or makes and saves durably (mode 0600, owner uid:gid unless (uid_t) -1) when missing. The file may belong to
 * `uid`, this process' user or root. */
int key_load_or_make(const char *path, uid_t uid, gid_t gid, Key **ret, Error *err) _must_check_;
/* The same from and as PEM text (PKCS#8), for keys that are kept elsewhere than in a file. The text is secret: secret_free(). */
int key_from_text(const char *pem, size_t len, Key **ret, Error *err) _must_check_;
int key_to_text(const Key *k, char **ret, Error *err) _must_check_;
/* Public key from a JWK object as JSON text: {"kty":"EC","crv":"P-256","x":…,"y":…}; unknown members are ignored,
 * a private "d" is refused. "key.bad". */
int key_from_jwk(const char *jwk, size_t len, Key **ret, Error *err) _must_check_;
/* Public key from an uncompressed point (SEC 1 §2.3.3): -EBADMSG when it is not on the curve. */
#define KEY_POINT_SIZE 65
int key_from_point(const uint8_t point[static KEY_POINT_SIZE], Key **ret) _must_check_;
Key *key_free(Key *k);
DEFINE_CLEANUP(Key, key_free)

/* New strings, NULL on failure: the public key as JWK with members in RFC 7638 order, and the RFC 7638 SHA-256
 * thumbprint of it in base64url. */
char *key_jwk(const Key *k);
char *key_thumbprint(const Key *k);

/* ES256 (RFC 7518 §3.4): ECDSA with SHA-256, the signature as r || s. key_sign() needs a private key (-EINVAL);
 * key_verify() gives -EBADMSG when the signature is not of this key and this text. */
#define KEY_SIGNATURE_SIZE 64
int key_sign(const Key *k, const void *data, size_t len, uint8_t ret[static KEY_SIGNATURE_SIZE]) _must_check_;
int key_verify(const Key *k, const void *data, size_t len, const uint8_t *signature, size_t signature_len) _must_check_;
