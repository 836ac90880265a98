/* SPDX-License-Identifier: MIT */
/* Ed25519 keys (RFC 8032) of people: made, kept as PKCS#8 PEM, and their signatures. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define ED25519_SIZE 32
#define ED25519_SIGNATURE_SIZE 64

typedef struct SignerKey SignerKey;

/* key.generate */
int ed25519_make(SignerKey **ret, Error *err) _must_check_;
/* The text of a PEM file; a pass phrase is asked for on the terminal. -EBADMSG: it is no such key, or the pass phrase was wrong. */
int ed25519_parse(const char *text, size_t len, SignerKey **ret) _must_check_;
/* A new string, to be freed by secret_free(); `sealed` asks for a pass phrase on the terminal. key.generate */
int ed25519_print(const SignerKey *k, bool sealed, char **ret, Error *err) _must_check_;
SignerKey *ed25519_free(SignerKey *k);
DEFINE_CLEANUP(SignerKey, ed25519_free)

/* -EIO, which only a broken libcrypto gives. */
int ed25519_public(const SignerKey *k, uint8_t ret[static ED25519_SIZE]) _must_check_;
int ed25519_sign(const SignerKey *k, const void *data, size_t len,
                 uint8_t ret[static ED25519_SIGNATURE_SIZE]) _must_check_;

/* -EBADMSG when it is not this key's signature of this text. */
int ed25519_verify(const uint8_t public[static ED25519_SIZE], const void *data, size_t len,
                   const uint8_t signature[static ED25519_SIGNATURE_SIZE]) _must_check_;
