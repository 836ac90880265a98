/* SPDX-License-Identifier: MIT */
/* A guest's pass (docs/wire-format.md): a signed token (RFC 7515) that is short enough for a QR code, so that a gate can check it
 * with nobody to ask. */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/uuid.h"
#include "lib/data/jwt.h"
#include "lib/data/key.h"

#define PASS_TYPE "pass+jwt"
#define PASS_ID_SIZE JWT_ID_SIZE
#define PASS_TEXT_MAX 1024

typedef struct Pass {
    char community[UUID_SIZE], guest[UUID_SIZE];
    char id[PASS_ID_SIZE]; /* of this one pass: it is used once */
    uint64_t from, until;  /* seconds since 1970; until is past the last one */
} Pass;

/* Gives the pass its id and signs it. */
int pass_sign(const Key *key, Pass *pass, char **ret, Error *err) _must_check_;
/* A pass of this key, whatever its community and its times. Errors: jwt.*, pass.malformed. */
int pass_open(const Key *key, const char *text, Pass *ret, Error *err) _must_check_;
