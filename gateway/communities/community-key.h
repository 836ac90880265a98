/* SPDX-License-Identifier: MIT */
/* The key pair of a community, with which guests' passes and tokens for recordings are signed. */
#pragma once

#include "lib/base/error.h"

/* A new one: PEM text, which is secret, and the public half as JWK. */
int community_key_make(char **ret_pem, char **ret_jwk, Error *err) _must_check_;
