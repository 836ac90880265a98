/* SPDX-License-Identifier: MIT */
/* SHA-2 and comparison of secrets. */
#include "lib/data/digest.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

int sha256(const void *data, size_t len, uint8_t ret[static SHA256_SIZE])
{
    static EVP_MD *found;

    /* OpenSSL looks for the one behind EVP_sha256() each time, which takes longer than a short text */
    if (!found)
        found = EVP_MD_fetch(NULL, "SHA256", NULL);
    return EVP_Digest(data, len, ret, NULL, found ? found : EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

int sha512(const void *data, size_t len, uint8_t ret[static SHA512_SIZE])
{
    return EVP_Digest(data, len, ret, NULL, EVP_sha512(), NULL) == 1 ? 0 : -EIO;
}

int sha256_hex(const void *data, size_t len, char ret[static SHA256_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_SIZE];
    int r;

    r = sha256(data, len, digest);
    if (r < 0)
        return r;
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        ret[2 * i] = digits[digest[i] >> 4];
        ret[2 * i + 1] = digits[digest[i] & 15];
    }
    ret[2 * SHA256_SIZE] = '\0';
    return 0;
}

int hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t ret[static SHA256_SIZE])
{
    unsigned ret_len = 0;

    if (key_len > INT_MAX || !HMAC(EVP_sha256(), key, (int) key_len, data, len, ret, &ret_len))
        return -EIO;
    return ret_len == SHA256_SIZE ? 0 : -EIO;
}

bool secret_equal(const char *a, const char *b)
{
    size_t len;

    if (!a || !b)
        return false;
    len = strlen(a);
    return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}
