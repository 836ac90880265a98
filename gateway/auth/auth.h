/* SPDX-License-Identifier: MIT */
/* Who is it: device tokens and proofs, checked without the database, and the operators' named tokens. */
#pragma once

#include "gateway/http/request.h"
#include "lib/data/jwt.h"

#define CLAIM_PATH "/api/device/claim"
#define REFRESH_PATH "/api/device/refresh-jwt"
#define OPERATOR_TOKEN_PREFIX "sbx_"
#define BOOTSTRAP_PREFIX "sbb_"
#define OPERATOR_ACTOR_PREFIX "operator:"
#define SECRET_HASH_SIZE 65

/* What stands behind "Bearer " in the Authorization header; NULL when there is none. Borrowed. */
const char *auth_bearer(const HttpExchange *x);

/* A new random secret with 256 bits behind its prefix, and the hash to store. */
int auth_make_secret(const char *prefix, char **ret, char ret_hash[static SECRET_HASH_SIZE]) _must_check_;

/* A device token for this key, good for the configured hours. ret_expires in seconds since 1970. */
int auth_issue(Gateway *g, const char *device, Role role, const char *thumbprint, char **ret,
               uint64_t *ret_expires, Error *err) _must_check_;
/* {"token", "expiresAt", "serverTime"}; NULL when out of memory. */
cJSON *auth_token_json(const char *token, uint64_t expires);

/* Checks a token for one tunnel. -EKEYREJECTED: bad token or key; -EACCES: another role, or blocked. */
int auth_check_tunnel(Gateway *g, const char *token, Role role, JwtClaims *ret, Error *err) _must_check_;

/* Checks a proof for POST `path`. Outputs are owned by the caller. -EKEYREJECTED. */
int auth_check_proof(Gateway *g, const char *proof, const char *path, const char *token_hash, Key **ret_key,
                     char **ret_id, Error *err) _must_check_;

/* A new token for one of which only jwt_hash() is left, which opened a tunnel of this device and role, and a fresh proof. */
int auth_renew(Gateway *g, const char *device, Role role, const char *token_hash, const char *proof, char **ret,
               uint64_t *ret_expires, Error *err) _must_check_;
/* A new token for an old one, expired or not, and a fresh proof by the key that the old one names. */
int auth_refresh(Gateway *g, const char *token, const char *proof, char **ret, uint64_t *ret_expires,
                 Error *err) _must_check_;

/* The name of the operator who asks; borrowed from the call. */
const char *auth_person(const Request *c);
/* Finds out which operator asks, then requests the route's handler; answers 401 otherwise. */
void auth_operator(Request *c);
