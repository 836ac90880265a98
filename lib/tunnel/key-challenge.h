/* SPDX-License-Identifier: MIT */
/* Proof of possession of a key, over a nonce of the gateway (docs/wire-format.md, "The tunnel"): needs no token and no
 * clock. */
#pragma once

#include "lib/base/error.h"
#include "lib/data/key.h"

#define CHALLENGE_NONCE_MAX 128

/* The proof in base64url. -EINVAL for a nonce that is empty, too long, or has characters that are not printable. */
int challenge_prove(const Key *key, const char *nonce, const char *device, char **ret) _must_check_;
/* -EBADMSG when the proof is not by this key for this nonce and device. */
int challenge_check(const Key *key, const char *nonce, const char *device, const char *proof) _must_check_;
