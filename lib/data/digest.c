/* SPDX-License-Identifier: MIT */
/* SHA-2 and comparison of secrets. */
#define OPENSSL_API_COMPAT 0x10100000L /* see sha256() */
#include "lib/data/digest.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

/* Not by EVP: it loads a provider's tables, 130 KiB that a program which only hashes would keep for nothing else. */
int sha256(const void *data, size_t len, uint8_t ret[static SHA256_SIZE])
{
    SHA256_CTX ctx;

    return SHA256_Init(&ctx) == 1 && SHA256_Update(&ctx, data, len) == 1 && SHA256_Final(ret, &ctx) == 1 ? 0 : -EIO;
}

int sha512(const void *data, size_t len, uint8_t ret[static SHA512_SIZE])
{
    SHA512_CTX ctx;

    return SHA512_Init(&ctx) == 1 && SHA512_Update(&ctx, data, len) == 1 && SHA512_Final(ret, &ctx) == 1 ? 0 : -EIO;
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
