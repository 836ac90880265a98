/* SPDX-License-Identifier: MIT */
/* A compact JWS (RFC 7515 §3.1) taken apart; nothing of it is believed yet. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

typedef struct JwtParts {
    cJSON *header, *payload; /* objects; owned */
    const char *signed_text; /* borrowed from the token: header.payload as they were sent */
    size_t signed_len;
    uint8_t *signature; /* owned */
    size_t signature_len;
} JwtParts;

/* Errors: jwt.too-large (longer than max bytes), jwt.malformed. What *ret holds is to be released after a failure, too. */
int jwt_parts_read(const char *token, size_t max, JwtParts *ret, Error *err) _must_check_;
void jwt_parts_done(JwtParts *t);
