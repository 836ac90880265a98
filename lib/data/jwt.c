/* SPDX-License-Identifier: MIT */
/* Compact ES256 tokens: what a device token and a proof of possession must look like; nothing else is accepted. */
#include "lib/data/jwt.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/data/jwt-parts.h"

#define TIME_MAX 9007199254740992.0 /* 2^53 */
#define PROOF_AGE_MAX 300
#define PROOF_ID_SIZE 16
#define CLAIM_LENGTH_MAX 1024
#define ID_BYTES 12

void jwt_claims_done(JwtClaims *c)
{
    free(c->issuer);
    free(c->audience);
    free(c->subject);
    free(c->id);
    free(c->thumbprint);
    *c = (JwtClaims) {};
}

/* alg is compared with the one algorithm that this tree knows; members that name or bring other keys, or that must be
 * understood, are refused. kid is ignored: there is nothing to look up. */
static int check_header(const cJSON *header, const char *type, bool brings_key, Error *err)
{
    static const char *const refused[] = { "crit", "jku", "x5u", "x5c", "b64", "zip", "enc" };
    const cJSON *jwk = cJSON_GetObjectItemCaseSensitive(header, "jwk");

    if (!str_equal(json_string(header, "alg"), "ES256"))
        return error_set(err, EACCES, "jwt.algorithm", "the token's alg is not ES256");
    if (!str_equal(json_string(header, "typ"), type))
        return error_set(err, EACCES, "jwt.type", "the token's typ is not %s", type);
    for (size_t i = 0; i < ELEMENTSOF(refused); i++)
        if (cJSON_GetObjectItemCaseSensitive(header, refused[i]))
            return error_set(err, EACCES, "jwt.header", "the token's header holds \"%s\", which is not accepted",
                             refused[i]);
    if (brings_key && !cJSON_IsObject(jwk))
        return error_set(err, EACCES, "jwt.header", "the proof's header lacks its public key (jwk)");
    if (!brings_key && jwk)
        return error_set(err, EACCES, "jwt.header", "the token's header brings its own key (jwk)");
    return 0;
}

static int check_signature(const JwtParts *t, const Key *key, Error *err)
{
    if (key_verify(key, t->signed_text, t->signed_len, t->signature, t->signature_len) < 0)
        return error_set(err, EACCES, "jwt.signature", "the token's signature does not verify");
    return 0;
}

static int claim_string(const cJSON *payload, const char *name, char **ret, Error *err)
{
    const char *text = json_string(payload, name);
    char *copy;

    if (str_empty(text) || strlen(text) > CLAIM_LENGTH_MAX)
        return error_set_at(err, EACCES, "jwt.missing-claim", NULL, 0, name,
                            "the token lacks the claim %s as a string that is not empty", name);
    copy = strdup(text);
    if (!copy)
        return error_from_errno(err, -ENOMEM, "cannot read a token");
    *ret = copy;
    return 0;
}

/* A NumericDate (RFC 7519 §2), whole seconds only. */
static int claim_time(const cJSON *payload, const char *name, uint64_t *ret, Error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(payload, name);
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;

    if (!item)
        return error_set_at(err, EACCES, "jwt.missing-claim", NULL, 0, name, "the token lacks the claim %s", name);
    if (!(value >= 0 && value <= TIME_MAX) || trunc(value) < value)
        return error_set_at(err, EBADMSG, "jwt.malformed", NULL, 0, name,
                            "the token's claim %s is not a whole number of seconds", name);
    *ret = (uint64_t) value;
    return 0;
}

bool jwt_seconds(const cJSON *claims, const char *name, uint64_t *ret)
{
    return claim_time(claims, name, ret, NULL) >= 0;
}

bool jwt_id_is_valid(const char *text)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return text && strlen(text) == JWT_ID_SIZE - 1 && strspn(text, alphabet) == JWT_ID_SIZE - 1;
}

int jwt_id_make(char ret[static JWT_ID_SIZE])
{
    uint8_t random[ID_BYTES];

    random_bytes(random, sizeof(random));
    random[0] &= 0x7f; /* a letter comes first: people give ids on command lines, where "-" begins an option */
    _cleanup_(freep) char *text = base64url_encode(random, sizeof(random));
    if (!text)
        return -ENOMEM;
    memcpy(ret, text, JWT_ID_SIZE);
    return 0;
}

/* Without `all` only iat and exp must be there. */
static int read_claims(const cJSON *payload, bool all, JwtClaims *c, Error *err)
{
    const cJSON *confirmation = cJSON_GetObjectItemCaseSensitive(payload, "cnf");
    const struct {
        const cJSON *object;
        const char *name;
        char **ret;
    } strings[] = {
        { payload, "iss", &c->issuer }, { payload, "aud", &c->audience },        { payload, "sub", &c->subject },
        { payload, "jti", &c->id },     { confirmation, "jkt", &c->thumbprint },
    };
    const struct {
        const char *name;
        uint64_t *ret;
    } times[] = {
        { "iat", &c->issued_at },
        { "nbf", &c->not_before },
        { "exp", &c->expires_at },
    };
    int r;

    for (size_t i = 0; i < ELEMENTSOF(strings); i++) {
        if (!all && !json_string(strings[i].object, strings[i].name))
            continue;
        r = claim_string(strings[i].object, strings[i].name, strings[i].ret, err);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < ELEMENTSOF(times); i++) {
        if (!all && times[i].ret == &c->not_before && !cJSON_GetObjectItemCaseSensitive(payload, times[i].name))
            continue;
        r = claim_time(payload, times[i].name, times[i].ret, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_claims(const JwtClaims *c, const JwtExpect *expect, Error *err)
{
    if (expect->issuer && !str_equal(c->issuer, expect->issuer))
        return error_set(err, EACCES, "jwt.issuer", "the token is not of the issuer %s", expect->issuer);
    if (expect->audience && !str_equal(c->audience, expect->audience))
        return error_set(err, EACCES, "jwt.audience", "the token is not for %s", expect->audience);
    if (c->not_before > expect->now + JWT_LEEWAY_SECONDS || c->issued_at > expect->now + JWT_LEEWAY_SECONDS)
        return error_set(err, EACCES, "jwt.not-yet-valid",
                         "the token is valid only later: the clock of its issuer and this one differ");
    if (!expect->allow_expired && expect->now >= c->expires_at + JWT_LEEWAY_SECONDS)
        return error_set(err, EACCES, "jwt.expired", "the token has expired");
    return 0;
}

int jwt_open(const Key *key, const char *token, const char *type, cJSON **ret, Error *err)
{
    _cleanup_(jwt_parts_done) JwtParts t = {};
    int r = jwt_parts_read(token, JWT_SIZE_MAX, &t, err);

    if (r >= 0)
        r = check_header(t.header, type, false, err);
    if (r >= 0)
        r = check_signature(&t, key, err);
    if (r >= 0)
        *ret = TAKE_PTR(t.payload);
    return r;
}

int jwt_verify_device(const Key *issuer_key, const char *token, const JwtExpect *expect, JwtClaims *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *payload = NULL;
    _cleanup_(jwt_claims_done) JwtClaims c = {};
    int r;

    r = jwt_open(issuer_key, token, expect->type ? expect->type : JWT_TYPE_DEVICE, &payload, err);
    if (r < 0)
        return r;
    r = read_claims(payload, true, &c, err);
    if (r < 0)
        return r;
    r = check_claims(&c, expect, err);
    if (r < 0)
        return r;
    *ret = c;
    c = (JwtClaims) {};
    return 0;
}

int jwt_peek(const char *token, JwtClaims *ret, Error *err)
{
    _cleanup_(jwt_parts_done) JwtParts t = {};
    _cleanup_(jwt_claims_done) JwtClaims c = {};
    int r;

    r = jwt_parts_read(token, JWT_SIZE_MAX, &t, err);
    if (r < 0)
        return r;
    r = read_claims(t.payload, false, &c, err);
    if (r < 0)
        return r;
    *ret = c;
    c = (JwtClaims) {};
    return 0;
}

/* header and payload as compact JSON, signed. */
static int token_make(const Key *key, const cJSON *header, const cJSON *payload, char **ret, Error *err)
{
    _cleanup_(freep) char *header_text = json_print(header), *payload_text = json_print(payload);
    _cleanup_(freep) char *header_part = NULL, *payload_part = NULL, *input = NULL, *signature_part = NULL;
    uint8_t signature[KEY_SIGNATURE_SIZE];
    char *token;

    if (header_text && payload_text) {
        header_part = base64url_encode(header_text, strlen(header_text));
        payload_part = base64url_encode(payload_text, strlen(payload_text));
    }
    input = header_part && payload_part ? str_format("%s.%s", header_part, payload_part) : NULL;
    if (!input)
        return error_from_errno(err, -ENOMEM, "cannot make a token");
    if (key_sign(key, input, strlen(input), signature) < 0)
        return error_set(err, EINVAL, "jwt.signature", "cannot sign a token: the key is not a private P-256 key");
    signature_part = base64url_encode(signature, sizeof(signature));
    token = signature_part ? str_format("%s.%s", input, signature_part) : NULL;
    if (!token)
        return error_from_errno(err, -ENOMEM, "cannot make a token");
    if (strlen(token) > JWT_SIZE_MAX) {
        free(token);
        return error_set(err, EMSGSIZE, "jwt.too-large", "the token would be longer than %d bytes", JWT_SIZE_MAX);
    }
    *ret = token;
    return 0;
}

static int add_time(cJSON *object, const char *name, uint64_t seconds)
{
    return json_add_item(object, name, cJSON_CreateNumber((double) seconds));
}

static cJSON *new_header(const char *type)
{
    _cleanup_(cJSON_Deletep) cJSON *header = cJSON_CreateObject();

    if (!header || json_add_string(header, "typ", type) < 0 || json_add_string(header, "alg", "ES256") < 0)
        return NULL;
    return TAKE_PTR(header);
}

int jwt_sign(const Key *key, const char *type, const cJSON *claims, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *header = new_header(type);

    return header ? token_make(key, header, claims, ret, err) : error_from_errno(err, -ENOMEM, "cannot make a token");
}

int jwt_sign_device(const Key *issuer_key, const JwtClaims *claims, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *payload = cJSON_CreateObject();
    cJSON *confirmation;

    if (str_empty(claims->issuer) || str_empty(claims->audience) || str_empty(claims->subject) ||
        str_empty(claims->id) || str_empty(claims->thumbprint))
        return error_set(err, EINVAL, "jwt.missing-claim", "a device token needs iss, aud, sub, jti and cnf.jkt");
    if (!payload || json_add_string(payload, "iss", claims->issuer) < 0 ||
        json_add_string(payload, "aud", claims->audience) < 0 || json_add_string(payload, "sub", claims->subject) < 0 ||
        json_add_string(payload, "jti", claims->id) < 0 || add_time(payload, "iat", claims->issued_at) < 0 ||
        add_time(payload, "nbf", claims->not_before) < 0 || add_time(payload, "exp", claims->expires_at) < 0)
        return error_from_errno(err, -ENOMEM, "cannot make a token");
    confirmation = cJSON_CreateObject();
    if (json_add_item(payload, "cnf", confirmation) < 0 || json_add_string(confirmation, "jkt", claims->thumbprint) < 0)
        return error_from_errno(err, -ENOMEM, "cannot make a token");
    return jwt_sign(issuer_key, JWT_TYPE_DEVICE, payload, ret, err);
}

int jwt_hash(const char *token, char ret[static JWT_HASH_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    int r = sha256(token, strlen(token), digest);
    _cleanup_(freep) char *text = r >= 0 ? base64url_encode(digest, sizeof(digest)) : NULL;

    if (!text)
        return -ENOMEM;
    memcpy(ret, text, JWT_HASH_SIZE);
    return 0;
}

static cJSON *proof_header(const Key *device_key)
{
    _cleanup_(cJSON_Deletep) cJSON *header = new_header(JWT_TYPE_PROOF), *jwk = NULL;
    _cleanup_(freep) char *text = key_jwk(device_key);

    if (!header || !text || json_parse_object(text, strlen(text), &jwk, NULL) < 0)
        return NULL;
    if (json_add_item(header, "jwk", TAKE_PTR(jwk)) < 0)
        return NULL;
    return TAKE_PTR(header);
}

int jwt_sign_proof(const Key *device_key, const char *method, const char *uri, const char *access_token, uint64_t now,
                   char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *header = proof_header(device_key), *payload = cJSON_CreateObject();
    _cleanup_(freep) char *id = NULL;
    char hash[JWT_HASH_SIZE];
    uint8_t random[PROOF_ID_SIZE];

    random_bytes(random, sizeof(random));
    id = base64url_encode(random, sizeof(random));
    if (!header || !payload || !id || (access_token && jwt_hash(access_token, hash) < 0) ||
        json_add_string(payload, "jti", id) < 0 || json_add_string(payload, "htm", method) < 0 ||
        json_add_string(payload, "htu", uri) < 0 || add_time(payload, "iat", now) < 0 ||
        json_add_string(payload, "ath", access_token ? hash : NULL) < 0)
        return error_from_errno(err, -ENOMEM, "cannot make a proof");
    return token_make(device_key, header, payload, ret, err);
}

/* Whether htu is `uri`, or has it as its path when it starts with '/'. Query and fragment of htu do not count. */
static bool uri_matches(const char *htu, const char *uri)
{
    size_t len = htu ? strcspn(htu, "?#") : 0;
    const char *at = htu;

    if (!htu)
        return false;
    if (*uri == '/') {
        at = strstr(htu, "://");
        at = at && at < htu + len ? strchr(at + 3, '/') : NULL;
        if (!at || at >= htu + len)
            return false;
        len -= (size_t) (at - htu);
    }
    return strlen(uri) == len && memcmp(at, uri, len) == 0;
}

static int check_proof_claims(const cJSON *payload, const char *method, const char *uri, const char *token_hash,
                              uint64_t now, Error *err)
{
    uint64_t at = 0;
    int r;

    if (!str_equal(json_string(payload, "htm"), method))
        return error_set(err, EACCES, "proof.method", "the proof is for another method than %s", method);
    if (!uri_matches(json_string(payload, "htu"), uri))
        return *uri == '/' ? error_set(err, EACCES, "proof.uri", "the proof is for another request than %s", uri)
                           : error_set(err, EACCES, "proof.uri",
                                       "the proof is for another address or request than %s: the box must reach the "
                                       "gateway by the address that its --issuer names",
                                       uri);
    if (token_hash && !secret_equal(json_string(payload, "ath"), token_hash))
        return error_set(err, EACCES, "proof.token", "the proof is for another token than the one that came with it");
    r = claim_time(payload, "iat", &at, err);
    if (r < 0)
        return r;
    if (at > now + PROOF_AGE_MAX || now > at + PROOF_AGE_MAX)
        return error_set(err, EACCES, "proof.stale",
                         "the proof was made more than %d s before or after the time here; check the box's clock",
                         PROOF_AGE_MAX);
    return 0;
}

static int proof_key(const cJSON *header, Key **ret, Error *err)
{
    _cleanup_(freep) char *jwk = json_print(cJSON_GetObjectItemCaseSensitive(header, "jwk"));

    if (!jwk)
        return error_from_errno(err, -ENOMEM, "cannot read a proof");
    return key_from_jwk(jwk, strlen(jwk), ret, err);
}

int jwt_verify_proof(const char *proof, const char *method, const char *uri, const char *token_hash, uint64_t now,
                     Key **ret_key, char **ret_id, Error *err)
{
    _cleanup_(jwt_parts_done) JwtParts t = {};
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(freep) char *id = NULL;
    int r;

    r = jwt_parts_read(proof, JWT_SIZE_MAX, &t, err);
    if (r < 0)
        return r;
    r = check_header(t.header, JWT_TYPE_PROOF, true, err);
    if (r < 0)
        return r;
    r = proof_key(t.header, &key, err);
    if (r < 0)
        return r;
    r = check_signature(&t, key, err);
    if (r < 0)
        return r;
    r = check_proof_claims(t.payload, method, uri, token_hash, now, err);
    if (r < 0)
        return r;
    r = claim_string(t.payload, "jti", &id, err);
    if (r < 0)
        return r;
    *ret_key = TAKE_PTR(key);
    *ret_id = TAKE_PTR(id);
    return 0;
}
