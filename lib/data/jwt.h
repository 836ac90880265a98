/* SPDX-License-Identifier: MIT */
/* JSON Web Tokens (RFC 7519), ES256 only (RFC 7518 §3.4), checked as RFC 8725 asks; and the proof-of-possession
 * JWT of RFC 9449 (DPoP). */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/key.h"

#define JWT_LEEWAY_SECONDS 60

/* Explicit types: one token can never stand in for another (RFC 8725 §3.11). */
#define JWT_TYPE_DEVICE "device+jwt"
#define JWT_TYPE_PROOF "dpop+jwt"

/* What every token here is made of: header {typ, alg} and these claims, signed; and the claims of one whose size, form, alg
 * (ES256, nothing else), typ and signature are right. What the claims say is the caller's to judge. Errors: jwt.too-large,
 * jwt.malformed, jwt.algorithm, jwt.type, jwt.header, jwt.signature. */
int jwt_sign(const Key *key, const char *type, const cJSON *claims, char **ret, Error *err) _must_check_;
int jwt_open(const Key *key, const char *token, const char *type, cJSON **ret, Error *err) _must_check_;

/* A jti: 12 random bytes in base64url, a letter first. Those of before may begin with any of its characters. */
#define JWT_ID_SIZE 17
int jwt_id_make(char ret[static JWT_ID_SIZE]) _must_check_;
bool jwt_id_is_valid(const char *text);
/* A claim that is a whole number of seconds since 1970. */
bool jwt_seconds(const cJSON *claims, const char *name, uint64_t *ret);

typedef struct JwtClaims {
    char *issuer;                               /* iss */
    char *audience;                             /* aud */
    char *subject;                              /* sub: the device id */
    char *id;                                   /* jti */
    char *thumbprint;                           /* cnf.jkt: RFC 7638 thumbprint of the key that must prove possession */
    uint64_t issued_at, not_before, expires_at; /* seconds since 1970 */
} JwtClaims;

void jwt_claims_done(JwtClaims *c);

/* What a verifier demands. Every field that is not NULL must match exactly. */
typedef struct JwtExpect {
    const char *type; /* typ header */
    const char *issuer, *audience;
    uint64_t now;      /* seconds since 1970 */
    int allow_expired; /* refresh only: a box that was off for a month must come back */
} JwtExpect;

/* A compact token, typ device+jwt. All of iss, aud, sub, jti, cnf.jkt, iat, nbf, exp are written. */
int jwt_sign_device(const Key *issuer_key, const JwtClaims *claims, char **ret, Error *err) _must_check_;

/* Checks size, form, alg (ES256, nothing else), typ, absence of crit/jku/x5u/jwk, signature, iss, aud, exp, nbf, iat,
 * presence of jti, sub and cnf.jkt. Errors: jwt.too-large, jwt.malformed, jwt.algorithm, jwt.type, jwt.header,
 * jwt.signature, jwt.issuer, jwt.audience, jwt.expired, jwt.not-yet-valid, jwt.missing-claim. */
int jwt_verify_device(const Key *issuer_key, const char *token, const JwtExpect *expect, JwtClaims *ret,
                      Error *err) _must_check_;

/* Reads the claims without checking anything, so that a token's holder knows when to refresh it. iat and exp must be
 * there, all else may be missing (NULL or 0). */
int jwt_peek(const char *token, JwtClaims *ret, Error *err) _must_check_;

/* DPoP proof: header {typ, alg, jwk}, claims {jti, htm: method, htu: uri, iat: now} and ath = base64url(SHA-256(token))
 * when access_token is not NULL. */
int jwt_sign_proof(const Key *device_key, const char *method, const char *uri, const char *access_token, uint64_t now,
                   char **ret, Error *err) _must_check_;

/* How a proof names the token that it goes with (RFC 9449 §4.2): base64url(SHA-256(token)). */
#define JWT_HASH_SIZE 44
int jwt_hash(const char *token, char ret[static JWT_HASH_SIZE]) _must_check_;

/* Checks a proof; token_hash is jwt_hash() of the token that must go with it, or NULL. On success *ret_key is the key it
 * was made with (compare its thumbprint with the registered one) and *ret_id its jti (for a replay cache); both owned by the
 * caller. uri is compared by path only when it starts with '/'.
 * Errors: as above, and proof.method, proof.uri, proof.token, proof.stale (iat further than 300 s from now). */
int jwt_verify_proof(const char *proof, const char *method, const char *uri, const char *token_hash, uint64_t now,
                     Key **ret_key, char **ret_id, Error *err) _must_check_;
