/* SPDX-License-Identifier: MIT */
#include "lib/data/jwt-set.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/jwt-parts.h"
#include "lib/data/key-pem.h"
#include "lib/data/key.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192 /* a check of a longer one takes long */
#define KEYS_MAX 64

DEFINE_CLEANUP(BIGNUM, BN_free)
DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
DEFINE_CLEANUP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM, OSSL_PARAM_free)

static BIGNUM *number(const cJSON *jwk, const char *name)
{
    const char *text = json_string(jwk, name);
    _cleanup_(freep) uint8_t *bytes = NULL;
    size_t n = 0;

    if (!text || base64url_decode(text, strlen(text), &bytes, &n) < 0 || n == 0 || n > RSA_BITS_MAX / 8)
        return NULL;
    return BN_bin2bn(bytes, (int) n, NULL);
}

/* NULL: it is no public RSA key of a length that is accepted. */
static EVP_PKEY *rsa_key(const cJSON *jwk)
{
    _cleanup_(BN_freep) BIGNUM *n = number(jwk, "n"), *e = number(jwk, "e");
    _cleanup_(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    _cleanup_(OSSL_PARAM_freep) OSSL_PARAM *params = NULL;
    _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;

    if (!n || !e || !build || !ctx || BN_num_bits(n) < RSA_BITS_MIN || !BN_is_odd(e) || BN_is_one(e))
        return NULL;
    if (OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    if (!params || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    ERR_clear_error();
    return pkey;
}

/* PKCS #1 v1.5 with SHA-256 (RFC 8017 §8.2.2). */
static int verify_rsa(const cJSON *jwk, const JwtParts *t, Error *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey = rsa_key(jwk);
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!pkey)
        return error_set(err, EACCES, "jwks.no-key", "the key that the token names is no RSA key of %d to %d bits",
                         RSA_BITS_MIN, RSA_BITS_MAX);
    if (!ctx)
        return error_from_errno(err, -ENOMEM, "cannot check a token");
    int good = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey);
    if (good == 1)
        good = EVP_DigestVerify(ctx, t->signature, t->signature_len, (const unsigned char *) t->signed_text,
                                t->signed_len);
    ERR_clear_error();
    return good == 1 ? 0 : error_set(err, EACCES, "jwt.signature", "the token's signature does not verify");
}

static int verify_p256(const cJSON *jwk, const JwtParts *t, Error *err)
{
    _cleanup_(freep) char *text = json_print(jwk);
    _cleanup_(key_freep) Key *key = NULL;

    if (!text)
        return error_from_errno(err, -ENOMEM, "cannot check a token");
    if (key_from_jwk(text, strlen(text), &key, NULL) < 0)
        return error_set(err, EACCES, "jwks.no-key", "the key that the token names is no P-256 key");
    if (key_verify(key, t->signed_text, t->signed_len, t->signature, t->signature_len) < 0)
        return error_set(err, EACCES, "jwt.signature", "the token's signature does not verify");
    return 0;
}

/* Those that are said to be for something else are not meant. */
static bool fits(const cJSON *jwk, const char *kty, const char *alg, const char *kid)
{
    const char *use = json_string(jwk, "use"), *own = json_string(jwk, "alg");

    return str_equal(json_string(jwk, "kty"), kty) && (!use || str_equal(use, "sig")) &&
           (!own || str_equal(own, alg)) && (!kid || str_equal(json_string(jwk, "kid"), kid));
}

static const cJSON *find_key(const cJSON *jwks, const char *kty, const char *alg, const char *kid)
{
    const cJSON *found = NULL, *jwk;
    size_t n = 0, looked = 0;

    cJSON_ArrayForEach(jwk, cJSON_GetObjectItemCaseSensitive(jwks, "keys")) {
        if (looked++ == KEYS_MAX)
            break;
        if (fits(jwk, kty, alg, kid)) {
            found = jwk;
            n++;
        }
    }
    return n == 1 ? found : NULL;
}

static int check_header(const cJSON *header, Error *err)
{
    /* what must be understood, or brings a key of its own */
    static const char *const refused[] = { "crit", "jku", "x5u", "jwk", "b64", "zip", "enc" };

    for (size_t i = 0; i < ELEMENTSOF(refused); i++)
        if (cJSON_GetObjectItemCaseSensitive(header, refused[i]))
            return error_set(err, EACCES, "jwt.header", "the token's header holds \"%s\", which is not accepted",
                             refused[i]);
    return 0;
}

int jwks_open(const cJSON *jwks, const char *token, cJSON **ret, Error *err)
{
    _cleanup_(jwt_parts_done) JwtParts t = {};
    int r = jwt_parts_read(token, JWKS_TOKEN_MAX, &t, err);

    if (r >= 0)
        r = check_header(t.header, err);
    if (r < 0)
        return r;
    const char *alg = json_string(t.header, "alg"), *kid = json_string(t.header, "kid");
    bool rsa = str_equal(alg, "RS256");
    if (!rsa && !str_equal(alg, "ES256"))
        return error_set(err, EACCES, "jwt.algorithm", "the token's alg is neither RS256 nor ES256");
    const cJSON *jwk = find_key(jwks, rsa ? "RSA" : "EC", alg, kid);
    if (!jwk)
        return error_set(err, EACCES, "jwks.no-key", "the set has no key %s%sfor %s", kid ? kid : "", kid ? " " : "",
                         alg);
    r = rsa ? verify_rsa(jwk, &t, err) : verify_p256(jwk, &t, err);
    if (r >= 0)
        *ret = TAKE_PTR(t.payload);
    return r;
}
