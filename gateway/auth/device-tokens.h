/* SPDX-License-Identifier: MIT */
/* The boxes' tokens, and the proofs that a box holds the key which its token names. Checked without the database. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/auth/device-registry.h"
#include "lib/data/jwt.h"

#define REFRESH_PATH "/api/device/refresh-jwt"

typedef struct DeviceTokens DeviceTokens;

typedef struct DeviceTokensOptions {
    Key *key;                 /* signs them; taken, also on failure */
    const char *issuer;       /* public base URL, without a trailing slash; copied */
    bool issuer_is_known;     /* proofs must then name it */
    unsigned hours;           /* they are good for */
    DeviceRegistry *registry; /* borrowed */
} DeviceTokensOptions;

/* NULL when out of memory. */
DeviceTokens *device_tokens_new(const DeviceTokensOptions *options);
DeviceTokens *device_tokens_free(DeviceTokens *t);

/* A token for this key. ret_expires in seconds since 1970. */
int device_token_issue(const DeviceTokens *t, const char *device, Role role, const char *thumbprint, char **ret,
                       uint64_t *ret_expires, Error *err) _must_check_;
/* {"token", "expiresAt", "serverTime"}; NULL when out of memory. */
cJSON *device_token_json(const char *token, uint64_t expires);

/* Checks a token for one tunnel. -EKEYREJECTED: bad token or key; -EACCES: another role, or blocked. */
int device_token_check(const DeviceTokens *t, const char *token, Role role, JwtClaims *ret, Error *err) _must_check_;

/* Checks a proof for POST `path`. Outputs are owned by the caller. -EKEYREJECTED. */
int device_proof_check(const DeviceTokens *t, const char *proof, const char *path, const char *token_hash,
                       Key **ret_key, char **ret_id, Error *err) _must_check_;

/* A new token in place of the one that opened a tunnel of this device and role, of which only jwt_hash() is left; for a
 * fresh proof. */
int device_token_renew(const DeviceTokens *t, const char *device, Role role, const char *token_hash, const char *proof,
                       char **ret, uint64_t *ret_expires, Error *err) _must_check_;
/* A new token for an old one, expired or not, and a fresh proof by the key that the old one names. */
int device_token_refresh(const DeviceTokens *t, const char *token, const char *proof, char **ret, uint64_t *ret_expires,
                         Error *err) _must_check_;
