/* SPDX-License-Identifier: MIT */
/* P-256 keys: making, loading and saving them, their JWK and thumbprint, and raw ES256 signatures. */
#include "lib/data/key.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/data/key-pem.h"

#define CURVE "prime256v1"
#define COORDINATE_SIZE 32
#define JWK_SIZE_MAX 4096
#define DER_SIGNATURE_MAX 80

DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
DEFINE_CLEANUP(ECDSA_SIG, ECDSA_SIG_free)
DEFINE_CLEANUP(BIGNUM, BN_free)

struct Key {
    EVP_PKEY *pkey;
    bool private;
};

Key *key_free(Key *k)
{
    if (k) {
        EVP_PKEY_free(k->pkey);
        free(k);
    }
    return NULL;
}

/* Takes pkey, also on failure. */
static Key *key_wrap(EVP_PKEY *pkey, bool private)
{
    Key *k = calloc(1, sizeof(*k));

    if (!k) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    k->pkey = pkey;
    k->private = private;
    return k;
}

int key_generate(Key **ret, Error *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey = EVP_EC_gen(CURVE);
    Key *k;

    if (!pkey) {
        ERR_clear_error();
        return error_set(err, EIO, "key.generate", "libcrypto could not make a P-256 key pair");
    }
    k = key_wrap(TAKE_PTR(pkey), true);
    if (!k)
        return error_from_errno(err, -ENOMEM, "cannot make a key pair");
    *ret = k;
    return 0;
}

static bool is_p256(EVP_PKEY *pkey)
{
    char name[32] = "";

    return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) == 1 &&
           str_equal(name, CURVE);
}

static bool passes(EVP_PKEY *pkey, int (*check)(EVP_PKEY_CTX *))
{
    _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);

    return ctx && check(ctx) == 1;
}

static Key *key_from_pem(const char *text, size_t len)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey = key_pem_parse(text, len);

    if (!pkey || !is_p256(pkey) || !passes(pkey, EVP_PKEY_check)) {
        ERR_clear_error();
        return NULL;
    }
    return key_wrap(TAKE_PTR(pkey), true);
}

static int load_of(const char *path, uid_t owner, Key **ret, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    Key *k;
    int r;

    r = key_pem_read(path, owner, &text, &len, err);
    if (r < 0)
        return r;
    k = key_from_pem(text, len);
    if (!k)
        return error_set_at(err, EBADMSG, "key.bad", path, 0, NULL,
                            "%s is not a P-256 private key in PEM form without pass phrase; restore it, or remove it "
                            "and register the box again",
                            path);
    *ret = k;
    return 0;
}

int key_load(const char *path, Key **ret, Error *err)
{
    return load_of(path, (uid_t) -1, ret, err);
}

int key_load_or_make(const char *path, uid_t uid, gid_t gid, Key **ret, Error *err)
{
    _cleanup_(key_freep) Key *k = NULL;
    _cleanup_(error_done) Error load_err = {};
    int r;

    r = load_of(path, uid, &k, &load_err);
    if (r < 0 && r != -ENOENT) {
        if (err)
            error_copy(err, &load_err);
        return r;
    }
    if (r < 0) {
        r = key_generate(&k, err);
        if (r < 0)
            return r;
        r = key_pem_write(k->pkey, path, uid, gid, err);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(k);
    return 0;
}

int key_from_text(const char *pem, size_t len, Key **ret, Error *err)
{
    Key *k = key_from_pem(pem, len);

    if (!k)
        return error_set(err, EBADMSG, "key.bad",
                         "the text is not a P-256 private key in PEM form without pass phrase");
    *ret = k;
    return 0;
}

int key_to_text(const Key *k, char **ret, Error *err)
{
    if (!k->private)
        return error_set(err, EINVAL, "key.bad", "only a public key is known here");
    return key_pem_print(k->pkey, ret, err);
}

/* A base64url member of exactly 32 bytes (RFC 7518 §6.2.1.2: leading zeros are written). */
static int jwk_coordinate(const cJSON *jwk, const char *name, uint8_t ret[static COORDINATE_SIZE])
{
    const char *text = json_string(jwk, name);
    _cleanup_(freep) uint8_t *bytes = NULL;
    size_t len = 0;

    if (!text || base64url_decode(text, strlen(text), &bytes, &len) < 0 || len != COORDINATE_SIZE)
        return -EINVAL;
    memcpy(ret, bytes, COORDINATE_SIZE);
    return 0;
}

static EVP_PKEY *pkey_from_point(const uint8_t point[static KEY_POINT_SIZE])
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *) (uintptr_t) CURVE, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *) (uintptr_t) point, KEY_POINT_SIZE),
        OSSL_PARAM_construct_end(),
    };
    _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey = NULL;

    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1 ||
        !passes(pkey, EVP_PKEY_public_check)) {
        ERR_clear_error();
        return NULL;
    }
    return TAKE_PTR(pkey);
}

int key_from_point(const uint8_t point[static KEY_POINT_SIZE], Key **ret)
{
    EVP_PKEY *pkey = pkey_from_point(point);
    Key *k = pkey ? key_wrap(pkey, false) : NULL;

    if (!k)
        return pkey ? -ENOMEM : -EBADMSG;
    *ret = k;
    return 0;
}

int key_from_jwk(const char *jwk, size_t len, Key **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *object = NULL;
    uint8_t point[KEY_POINT_SIZE] = { 4 }; /* uncompressed, SEC 1 §2.3.3 */
    EVP_PKEY *pkey;
    Key *k;

    if (len > JWK_SIZE_MAX || json_parse_object(jwk, len, &object, NULL) < 0)
        return error_set(err, EBADMSG, "key.bad", "the JWK is not a JSON object of at most %d bytes", JWK_SIZE_MAX);
    if (!str_equal(json_string(object, "kty"), "EC") || !str_equal(json_string(object, "crv"), "P-256"))
        return error_set(err, EBADMSG, "key.bad", "the JWK is not of kty EC and crv P-256");
    if (cJSON_GetObjectItemCaseSensitive(object, "d"))
        return error_set(err, EBADMSG, "key.bad", "the JWK holds a private key, which must never leave its owner");
    if (jwk_coordinate(object, "x", point + 1) < 0 || jwk_coordinate(object, "y", point + 1 + COORDINATE_SIZE) < 0)
        return error_set(err, EBADMSG, "key.bad", "x and y of the JWK must be 32 bytes each in base64url");
    pkey = pkey_from_point(point);
    if (!pkey)
        return error_set(err, EBADMSG, "key.bad", "x and y of the JWK are not a point of the curve P-256");
    k = key_wrap(pkey, false);
    if (!k)
        return error_from_errno(err, -ENOMEM, "cannot take the JWK");
    *ret = k;
    return 0;
}

static char *coordinate(const Key *k, const char *name)
{
    _cleanup_(BN_freep) BIGNUM *n = NULL;
    uint8_t bytes[COORDINATE_SIZE];

    if (EVP_PKEY_get_bn_param(k->pkey, name, &n) != 1 || BN_bn2binpad(n, bytes, sizeof(bytes)) < 0)
        return NULL;
    return base64url_encode(bytes, sizeof(bytes));
}

char *key_jwk(const Key *k)
{
    _cleanup_(freep) char *x = coordinate(k, OSSL_PKEY_PARAM_EC_PUB_X);
    _cleanup_(freep) char *y = coordinate(k, OSSL_PKEY_PARAM_EC_PUB_Y);

    if (!x || !y)
        return NULL;
    return str_format("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
}

char *key_thumbprint(const Key *k)
{
    _cleanup_(freep) char *jwk = key_jwk(k);
    uint8_t digest[SHA256_SIZE];

    if (!jwk || sha256(jwk, strlen(jwk), digest) < 0)
        return NULL;
    return base64url_encode(digest, sizeof(digest));
}

int key_sign(const Key *k, const void *data, size_t len, uint8_t ret[static KEY_SIGNATURE_SIZE])
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *sig = NULL;
    uint8_t der[DER_SIGNATURE_MAX], raw[KEY_SIGNATURE_SIZE];
    const uint8_t *at = der;
    size_t der_len = sizeof(der);

    if (!k->private)
        return -EINVAL;
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) != 1 ||
        EVP_DigestSign(ctx, der, &der_len, data, len) != 1)
        return -EIO;
    sig = d2i_ECDSA_SIG(NULL, &at, (long) der_len);
    if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE_SIZE) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE_SIZE, COORDINATE_SIZE) < 0)
        return -EIO;
    memcpy(ret, raw, sizeof(raw));
    return 0;
}

static ECDSA_SIG *signature_from_raw(const uint8_t raw[static KEY_SIGNATURE_SIZE])
{
    _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *sig = ECDSA_SIG_new();
    _cleanup_(BN_freep) BIGNUM *r = BN_bin2bn(raw, COORDINATE_SIZE, NULL);
    _cleanup_(BN_freep) BIGNUM *s = BN_bin2bn(raw + COORDINATE_SIZE, COORDINATE_SIZE, NULL);

    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1)
        return NULL;
    r = s = NULL; /* sig has taken both */
    return TAKE_PTR(sig);
}

int key_verify(const Key *k, const void *data, size_t len, const uint8_t *signature, size_t signature_len)
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *sig = NULL;
    uint8_t der[DER_SIGNATURE_MAX], *at = der;
    int der_len, ok;

    if (signature_len != KEY_SIGNATURE_SIZE)
        return -EBADMSG;
    sig = signature_from_raw(signature);
    if (!ctx || !sig)
        return -ENOMEM;
    der_len = i2d_ECDSA_SIG(sig, NULL);
    if (der_len <= 0 || der_len > DER_SIGNATURE_MAX || i2d_ECDSA_SIG(sig, &at) != der_len)
        return -EBADMSG;
    if (EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) != 1)
        return -EIO;
    ok = EVP_DigestVerify(ctx, der, (size_t) der_len, data, len);
    ERR_clear_error();
    return ok == 1 ? 0 : -EBADMSG;
}
