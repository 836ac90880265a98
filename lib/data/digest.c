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
#include <unistd.h>

#include "lib/base/fileio.h"

#define PIECE_SIZE ((size_t) 64 * 1024)

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

static void print_hex(const uint8_t digest[static SHA256_SIZE], char ret[static SHA256_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < SHA256_SIZE; i++) {
        ret[2 * i] = digits[digest[i] >> 4];
        ret[2 * i + 1] = digits[digest[i] & 15];
    }
    ret[2 * SHA256_SIZE] = '\0';
}

int sha256_hex(const void *data, size_t len, char ret[static SHA256_HEX_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    int r;

    r = sha256(data, len, digest);
    if (r < 0)
        return r;
    print_hex(digest, ret);
    return 0;
}

/* 1: there was something; 0: that was all. */
static int digest_piece(EVP_MD_CTX *md, int from, int to, uint64_t max, uint64_t *len)
{
    char piece[PIECE_SIZE];
    ssize_t n = read(from, piece, sizeof(piece));

    if (n < 0)
        return errno == EINTR ? 1 : -errno;
    if ((uint64_t) n > max - *len)
        return -EFBIG;
    *len += (uint64_t) n;
    if (EVP_DigestUpdate(md, piece, (size_t) n) != 1)
        return -EIO;
    int r = to >= 0 ? fd_write_all(to, piece, (size_t) n) : 0;
    return r < 0 ? r : n > 0;
}

int sha256_hex_fd(int from, int to, uint64_t max, uint64_t *ret_len, char ret[static SHA256_HEX_SIZE])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t digest[SHA256_SIZE];
    uint64_t len = 0;
    int r = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? 1 : -ENOMEM;

    while (r > 0)
        r = digest_piece(md, from, to, max, &len);
    if (r == 0 && EVP_DigestFinal_ex(md, digest, NULL) != 1)
        r = -EIO;
    EVP_MD_CTX_free(md);
    if (r < 0)
        return r;
    print_hex(digest, ret);
    if (ret_len)
        *ret_len = len;
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
