/* SPDX-License-Identifier: MIT */
#include "lib/data/key-ed25519.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "lib/data/key-pem.h"

DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)

struct SignerKey {
    EVP_PKEY *pkey;
};

static int take(EVP_PKEY *pkey, SignerKey **ret)
{
    SignerKey *k = calloc(1, sizeof(*k));

    if (!k) {
        EVP_PKEY_free(pkey);
        return -ENOMEM;
    }
    k->pkey = pkey;
    *ret = k;
    return 0;
}

int ed25519_make(SignerKey **ret, Error *err)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    if (!pkey) {
        ERR_clear_error();
        return error_set(err, EIO, "key.generate", "libcrypto could not make an Ed25519 key pair");
    }
    int r = take(pkey, ret);
    return r < 0 ? error_from_errno(err, r, "cannot make a key") : 0;
}

int ed25519_parse(const char *text, size_t len, SignerKey **ret)
{
    EVP_PKEY *pkey = key_pem_parse_asking(text, len);

    if (pkey && EVP_PKEY_is_a(pkey, "ED25519"))
        return take(pkey, ret);
    EVP_PKEY_free(pkey);
    return -EBADMSG;
}

int ed25519_print(const SignerKey *k, bool sealed, char **ret, Error *err)
{
    return sealed ? key_pem_print_asking(k->pkey, ret, err) : key_pem_print(k->pkey, ret, err);
}

SignerKey *ed25519_free(SignerKey *k)
{
    if (k) {
        EVP_PKEY_free(k->pkey);
        free(k);
    }
    return NULL;
}

int ed25519_public(const SignerKey *k, uint8_t ret[static ED25519_SIZE])
{
    size_t len = ED25519_SIZE;

    if (EVP_PKEY_get_raw_public_key(k->pkey, ret, &len) == 1 && len == ED25519_SIZE)
        return 0;
    ERR_clear_error();
    return -EIO;
}

int ed25519_sign(const SignerKey *k, const void *data, size_t len, uint8_t ret[static ED25519_SIGNATURE_SIZE])
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t size = ED25519_SIGNATURE_SIZE;

    if (ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
        EVP_DigestSign(ctx, ret, &size, data, len) == 1 && size == ED25519_SIGNATURE_SIZE)
        return 0;
    ERR_clear_error();
    return -EIO;
}

int ed25519_verify(const uint8_t public[static ED25519_SIZE], const void *data, size_t len,
                   const uint8_t signature[static ED25519_SIGNATURE_SIZE])
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, public, ED25519_SIZE);
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
        EVP_DigestVerify(ctx, signature, ED25519_SIGNATURE_SIZE, data, len) == 1)
        return 0;
    ERR_clear_error();
    return -EBADMSG;
}
