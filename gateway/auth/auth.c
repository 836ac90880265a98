/* SPDX-License-Identifier: MIT */
/* Tokens and proofs. */
#include "gateway/auth/auth.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "gateway/http/api.h"
#include "gateway/store/tokens-table.h"
#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define SECRET_BYTES 32
#define SECRET_CHARS 43 /* of base64url */

const char *auth_bearer(const HttpExchange *x)
{
    const char *header = http_header(x, "Authorization");
    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    header += 7;
    while (*header == ' ')
        header++;
    return *header ? header : NULL;
}

int auth_make_secret(const char *prefix, char **ret, char ret_hash[static SECRET_HASH_SIZE])
{
    uint8_t bytes[SECRET_BYTES];
    random_bytes(bytes, sizeof(bytes));
    _cleanup_(secret_freep) char *encoded = base64url_encode(bytes, sizeof(bytes));
    explicit_bzero(bytes, sizeof(bytes));
    if (!encoded)
        return -ENOMEM;
    _cleanup_(secret_freep) char *secret = str_format("%s%s", prefix, encoded);
    if (!secret)
        return -ENOMEM;
    int r = sha256_hex(secret, strlen(secret), ret_hash);
    if (r >= 0)
        *ret = TAKE_PTR(secret);
    return r;
}

static uint64_t now_seconds(void)
{
    return realtime_usec() / USEC_PER_SEC;
}

int auth_issue(Gateway *g, const char *device, Role role, const char *thumbprint, char **ret,
               uint64_t *ret_expires, Error *err)
{
    char id[REQUEST_ID_SIZE];
    uint64_t now = now_seconds();
    uint64_t expires = now + (uint64_t) g->token_hours * 3600;
    int r = random_id(id);
    if (r < 0)
        return error_from_errno(err, r, "making a device token");
    const JwtClaims claims = {
        .issuer = g->issuer,
        .audience = (char *) role_name(role),
        .subject = (char *) device,
        .id = id,
        .thumbprint = (char *) thumbprint,
        .issued_at = now,
        .not_before = now,
        .expires_at = expires,
    };
    r = jwt_sign_device(g->key, &claims, ret, err);
    if (r >= 0)
        *ret_expires = expires;
    return r;
}

cJSON *auth_token_json(const char *token, uint64_t expires)
{
    char until[TIMESTAMP_SIZE], now[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    if (!o || json_add_string(o, "token", token) < 0 ||
        json_add_string(o, "expiresAt", timestamp_format(expires * USEC_PER_SEC, until)) < 0 ||
        json_add_string(o, "serverTime", timestamp_format(realtime_usec(), now)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

/* Whatever is wrong with a token or proof is the caller's fault, but for memory. */
static int rejected(int r)
{
    return r == -ENOMEM ? r : -EKEYREJECTED;
}

int auth_check_tunnel(Gateway *g, const char *token, Role role, JwtClaims *ret, Error *err)
{
    JwtClaims claims = {};
    const JwtExpect expect = {
        .type = JWT_TYPE_DEVICE,
        .issuer = g->issuer,
        .audience = role_name(role),
        .now = now_seconds(),
    };
    int r = jwt_verify_device(g->key, token, &expect, &claims, err);
    if (r < 0 && str_equal(error_id(err), "jwt.issuer") && !g->issuer_set)
        return rejected(error_prefix(err, r, "--issuer is not set, so this gateway goes by where it listens"));
    if (r < 0)
        return str_equal(error_id(err), "jwt.audience") ? -EACCES : rejected(r);
    r = device_registry_check(g->registry, claims.subject, role, claims.thumbprint, err);
    if (r < 0) {
        jwt_claims_done(&claims);
        return r;
    }
    *ret = claims;
    return 0;
}

int auth_check_proof(Gateway *g, const char *proof, const char *path, const char *token_hash, Key **ret_key,
                     char **ret_id, Error *err)
{
    /* without --issuer we do not know by which name boxes reach us: then only the path has to match */
    _cleanup_(freep) char *uri = str_format("%s%s", g->issuer_set ? g->issuer : "", path);
    if (!uri)
        return error_from_errno(err, -ENOMEM, "checking a proof");
    int r = jwt_verify_proof(proof, "POST", uri, token_hash, now_seconds(), ret_key, ret_id, err);
    return r < 0 ? rejected(r) : 0;
}

int auth_renew(Gateway *g, const char *device, Role role, const char *token_hash, const char *proof, char **ret,
               uint64_t *ret_expires, Error *err)
{
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(freep) char *proof_id = NULL;
    int r = auth_check_proof(g, proof, REFRESH_PATH, token_hash, &key, &proof_id, err);
    if (r < 0)
        return r;
    _cleanup_(freep) char *thumbprint = key_thumbprint(key);
    if (!thumbprint)
        return error_from_errno(err, -ENOMEM, "checking a proof");
    r = device_registry_check(g->registry, device, role, thumbprint, err);
    if (r >= 0)
        r = device_registry_use_proof(g->registry, device, role, proof_id, now_seconds(), err);
    if (r < 0)
        return r;
    return auth_issue(g, device, role, thumbprint, ret, ret_expires, err);
}

int auth_refresh(Gateway *g, const char *token, const char *proof, char **ret, uint64_t *ret_expires,
                 Error *err)
{
    /* the issuer may have been renamed since: our signature on it is what counts here */
    const JwtExpect expect = { .type = JWT_TYPE_DEVICE, .now = now_seconds(), .allow_expired = 1 };
    _cleanup_(jwt_claims_done) JwtClaims claims = {};
    char hash[JWT_HASH_SIZE];
    Role role;
    int r = jwt_verify_device(g->key, token, &expect, &claims, err);
    if (r < 0)
        return rejected(r);
    if (role_parse(claims.audience, &role) < 0)
        return error_set(err, EKEYREJECTED, "jwt.audience", "the token names no role of a box");
    r = jwt_hash(token, hash);
    if (r < 0)
        return error_from_errno(err, r, "checking a proof");
    /* a token of a key that was replaced since gets none for the new one */
    r = device_registry_check(g->registry, claims.subject, role, claims.thumbprint, err);
    return r < 0 ? r : auth_renew(g, claims.subject, role, hash, proof, ret, ret_expires, err);
}

static void refuse_operator(Request *c, const char *id, const char *sentence)
{
    Error err = {};
    error_set(&err, EKEYREJECTED, id, "%s", sentence);
    request_fail(c, -EKEYREJECTED, &err);
    error_done(&err);
}

static void on_operator(Request *c, const StoreRows *rows)
{
    if (store_rows_count(rows) == 0) {
        refuse_operator(c, "operator.token-unknown", "this operator token is unknown or was revoked");
        return;
    }
    c->actor = str_format(OPERATOR_ACTOR_PREFIX "%s", store_rows_get(rows, 0, 0));
    if (!c->actor)
        request_fail(c, -ENOMEM, NULL);
    else
        c->route->handler(c);
}

const char *auth_person(const Request *c)
{
    return c->actor + strlen(OPERATOR_ACTOR_PREFIX);
}

void auth_operator(Request *c)
{
    const char *token = auth_bearer(c->exchange);
    char hash[SECRET_HASH_SIZE];
    if (!token) {
        refuse_operator(
            c, "operator.token-missing",
            "name yourself with \"Authorization: Bearer TOKEN\" (see: secbox-gateway tokens add)");
        return;
    }
    if (!str_starts(token, OPERATOR_TOKEN_PREFIX) ||
        strlen(token) != strlen(OPERATOR_TOKEN_PREFIX) + SECRET_CHARS ||
        sha256_hex(token, strlen(token), hash) < 0) {
        refuse_operator(c, "operator.token-unknown",
                        "this is not an operator token (" OPERATOR_TOKEN_PREFIX "…)");
        return;
    }
    c->token_hash = strdup(hash);
    if (!c->token_hash)
        request_fail(c, -ENOMEM, NULL);
    else
        request_query(c, sql_token_owner(hash), on_operator);
}
