/* SPDX-License-Identifier: MIT */
/* See device-tokens.h. */
#include "gateway/auth/device-tokens.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/secrets.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

struct DeviceTokens {
    Key *key;
    char *issuer;
    bool issuer_is_known;
    unsigned hours;
    DeviceRegistry *registry;
};

DeviceTokens *device_tokens_new(const DeviceTokensOptions *o)
{
    DeviceTokens *t = calloc(1, sizeof(*t));
    if (!t) {
        key_free(o->key);
        return NULL;
    }
    *t = (DeviceTokens) {
        .key = o->key,
        .issuer = strdup(o->issuer),
        .issuer_is_known = o->issuer_is_known,
        .hours = o->hours,
        .registry = o->registry,
    };
    return t->issuer ? t : device_tokens_free(t);
}

DeviceTokens *device_tokens_free(DeviceTokens *t)
{
    if (t) {
        key_free(t->key);
        free(t->issuer);
        free(t);
    }
    return NULL;
}

static uint64_t now_seconds(void)
{
    return realtime_usec() / USEC_PER_SEC;
}

int device_token_issue(const DeviceTokens *t, const char *device, Role role, const char *thumbprint, char **ret,
                       uint64_t *ret_expires, Error *err)
{
    char id[RANDOM_ID_SIZE];
    uint64_t now = now_seconds();
    uint64_t expires = now + (uint64_t) t->hours * 3600;
    int r = random_id(id);
    if (r < 0)
        return error_from_errno(err, r, "making a device token");
    const JwtClaims claims = {
        .issuer = t->issuer,
        .audience = (char *) role_name(role),
        .subject = (char *) device,
        .id = id,
        .thumbprint = (char *) thumbprint,
        .issued_at = now,
        .not_before = now,
        .expires_at = expires,
    };
    r = jwt_sign_device(t->key, &claims, ret, err);
    if (r >= 0)
        *ret_expires = expires;
    return r;
}

cJSON *device_token_json(const char *token, uint64_t expires)
{
    char until[TIMESTAMP_SIZE], now[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    if (!o || json_add_string(o, "token", token) < 0 ||
        json_add_string(o, "expiresAt", timestamp_format(expires * USEC_PER_SEC, until)) < 0 ||
        json_add_string(o, "serverTime", timestamp_format(realtime_usec(), now)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

/* Anything wrong with a token or proof is the caller's fault, except lack of memory. */
static int rejected(int r)
{
    return r == -ENOMEM ? r : -EKEYREJECTED;
}

int device_token_check(const DeviceTokens *t, const char *token, Role role, JwtClaims *ret, Error *err)
{
    JwtClaims claims = {};
    const JwtExpect expect = {
        .type = JWT_TYPE_DEVICE,
        .issuer = t->issuer,
        .audience = role_name(role),
        .now = now_seconds(),
    };
    int r = jwt_verify_device(t->key, token, &expect, &claims, err);
    if (r < 0 && str_equal(error_id(err), "jwt.issuer") && !t->issuer_is_known)
        return rejected(error_prefix(err, r, "--issuer is not set, so this gateway goes by where it listens"));
    if (r < 0)
        return str_equal(error_id(err), "jwt.audience") ? -EACCES : rejected(r);
    r = device_registry_check(t->registry, claims.subject, role, claims.thumbprint, err);
    if (r < 0) {
        jwt_claims_done(&claims);
        return r;
    }
    *ret = claims;
    return 0;
}

int device_proof_check(const DeviceTokens *t, const char *proof, const char *path, const char *token_hash,
                       Key **ret_key, char **ret_id, Error *err)
{
    /* without --issuer we do not know by which name boxes reach us: then only the path has to match */
    _cleanup_(freep) char *uri = str_format("%s%s", t->issuer_is_known ? t->issuer : "", path);
    if (!uri)
        return error_from_errno(err, -ENOMEM, "checking a proof");
    int r = jwt_verify_proof(proof, "POST", uri, token_hash, now_seconds(), ret_key, ret_id, err);
    return r < 0 ? rejected(r) : 0;
}

int device_token_renew(const DeviceTokens *t, const char *device, Role role, const char *token_hash, const char *proof,
                       char **ret, uint64_t *ret_expires, Error *err)
{
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(freep) char *proof_id = NULL;
    int r = device_proof_check(t, proof, REFRESH_PATH, token_hash, &key, &proof_id, err);
    if (r < 0)
        return r;
    _cleanup_(freep) char *thumbprint = key_thumbprint(key);
    if (!thumbprint)
        return error_from_errno(err, -ENOMEM, "checking a proof");
    r = device_registry_check(t->registry, device, role, thumbprint, err);
    if (r >= 0)
        r = device_registry_use_proof(t->registry, device, role, proof_id, now_seconds(), err);
    if (r < 0)
        return r;
    return device_token_issue(t, device, role, thumbprint, ret, ret_expires, err);
}

int device_token_refresh(const DeviceTokens *t, const char *token, const char *proof, char **ret, uint64_t *ret_expires,
                         Error *err)
{
    /* the issuer may have been renamed since: our signature on it is what counts here */
    const JwtExpect expect = { .type = JWT_TYPE_DEVICE, .now = now_seconds(), .allow_expired = 1 };
    _cleanup_(jwt_claims_done) JwtClaims claims = {};
    char hash[JWT_HASH_SIZE];
    Role role;
    int r = jwt_verify_device(t->key, token, &expect, &claims, err);
    if (r < 0)
        return rejected(r);
    if (role_parse(claims.audience, &role) < 0)
        return error_set(err, EKEYREJECTED, "jwt.audience", "the token names no role of a box");
    r = jwt_hash(token, hash);
    if (r < 0)
        return error_from_errno(err, r, "checking a proof");
    /* a token for a key that was replaced since does not buy one for the new key */
    r = device_registry_check(t->registry, claims.subject, role, claims.thumbprint, err);
    return r < 0 ? r : device_token_renew(t, claims.subject, role, hash, proof, ret, ret_expires, err);
}
