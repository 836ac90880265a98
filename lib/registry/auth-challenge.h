/* SPDX-License-Identifier: MIT */
/* WWW-Authenticate (RFC 9110 §11.6.1, RFC 6750 §3), and the answers of token servers. Pure. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

typedef enum ChallengeKind {
    CHALLENGE_NONE, /* none of the schemes known here */
    CHALLENGE_BASIC,
    CHALLENGE_BEARER,
} ChallengeKind;

typedef struct Challenge {
    ChallengeKind kind;
    char *realm, *service, *scope; /* NULL when absent; owned */
} Challenge;

void challenge_done(Challenge *c);

/* Reads one header with one or more challenges: Bearer is preferred to Basic, unknown schemes are skipped. Strict: a
 * header that breaks the grammar, or names a parameter twice, is refused as a whole (challenge.bad). */
int challenge_parse(const char *header, Challenge *ret, Error *err) _must_check_;

/* "REALM?service=…&scope=…", percent-encoded; a new string or NULL. NULL members are left out. */
char *token_url(const char *realm, const char *service, const char *scope);
/* The body of an OAuth 2 refresh (RFC 6749 §6) for the same challenge; a secret, a new string or NULL. */
char *token_refresh_body(const char *service, const char *scope, const char *refresh_token);
/* The token in a token server's answer; a secret. Errors: token.bad. */
int token_parse(const char *body, size_t len, char **ret, Error *err) _must_check_;
