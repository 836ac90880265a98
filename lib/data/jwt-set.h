/* SPDX-License-Identifier: MIT */
/* Tokens of others, signed with a key of a set that they publish (RFC 7517 §5): RS256 and ES256 (RFC 7518 §3.3, §3.4). */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/error.h"

/* An ID token with its groups. */
#define JWKS_TOKEN_MAX 32768

/* The claims of a token whose form and signature are right: a new object. What they say is the caller's to judge. `jwks`: the
 * set, an object with `keys`. The key is the one with the header's kid, and of its kind; without a kid the set's only one of
 * that kind. Errors: jwt.too-large, jwt.malformed, jwt.algorithm, jwt.header, jwt.signature; jwks.no-key: the set has no such
 * key, or none that can be used (an RSA key has 2048 bits at least). */
int jwks_open(const cJSON *jwks, const char *token, cJSON **ret, Error *err) _must_check_;
