/* SPDX-License-Identifier: MIT */
/* Base64 in both alphabets over one core, hexadecimal, kernel randomness. */

#include "lib/base/encode.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

static const char alphabet_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *hex_encode(const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;
    char *hex = malloc(len * 2 + 1);

    if (!hex)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[p[i] >> 4];
        hex[2 * i + 1] = digits[p[i] & 15];
    }
    hex[2 * len] = '\0';
    return hex;
}

static char *encode(const unsigned char *p, size_t len, const char *alphabet, bool padded)
{
    char *out = malloc((len + 2) / 3 * 4 + 1);
    size_t n = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t) p[i] << 16 | (left > 1 ? (uint32_t) p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);

        out[n++] = alphabet[group >> 18];
        out[n++] = alphabet[group >> 12 & 63];
        if (left > 1)
            out[n++] = alphabet[group >> 6 & 63];
        else if (padded)
            out[n++] = '=';
        if (left > 2)
            out[n++] = alphabet[group & 63];
        else if (padded)
            out[n++] = '=';
    }
    out[n] = '\0';
    return out;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

int hex_decode(const char *text, uint8_t *ret, size_t n)
{
    if (strlen(text) != 2 * n)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        ret[i] = (uint8_t) (high << 4 | low);
    }
    return 0;
}

char *base64_encode(const void *data, size_t len)
{
    return encode(data, len, alphabet_standard, true);
}

char *base64url_encode(const void *data, size_t len)
{
    return encode(data, len, alphabet_url, false);
}

static int decode(const char *s, size_t len, const char *alphabet, uint8_t **ret, size_t *ret_len)
{
    uint8_t *out;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;

    if (len % 4 == 1)
        return -EINVAL;
    out = malloc(len / 4 * 3 + 4);
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < len; i++) {
        const char *at = s[i] ? strchr(alphabet, s[i]) : NULL;

        if (!at) {
            free(out);
            return -EINVAL;
        }
        bits = bits << 6 | (uint32_t) (at - alphabet);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (uint8_t) (bits >> n_bits);
        }
    }
    /* bits left over must be zero, or two texts would mean the same bytes */
    if (bits & ((1u << n_bits) - 1)) {
        free(out);
        return -EINVAL;
    }
    out[n] = '\0';
    *ret = out;
    *ret_len = n;
    return 0;
}

int base64_decode(const char *s, size_t len, uint8_t **ret, size_t *ret_len)
{
    size_t padding = 0;

    if (len % 4 != 0)
        return -EINVAL;
    while (padding < 2 && padding < len && s[len - padding - 1] == '=')
        padding++;
    return decode(s, len - padding, alphabet_standard, ret, ret_len);
}

int base64url_decode(const char *s, size_t len, uint8_t **ret, size_t *ret_len)
{
    return decode(s, len, alphabet_url, ret, ret_len);
}

void random_bytes(void *data, size_t len)
{
    char *p = data;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort();
        p += n;
        len -= (size_t) n;
    }
}

uint64_t random_u64(void)
{
    uint64_t value;

    random_bytes(&value, sizeof(value));
    return value;
}

uint64_t random_below(uint64_t bound)
{
    uint64_t limit, value;

    if (bound == 0)
        return 0;
    limit = UINT64_MAX - UINT64_MAX % bound;
    do
        value = random_u64();
    while (value >= limit);
    return value % bound;
}
