/* SPDX-License-Identifier: MIT */
#include "lib/data/seal.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"

#define MAGIC "secbox-sealed-1\n"
#define MAGIC_SIZE (sizeof(MAGIC) - 1)
#define HEAD_SIZE (MAGIC_SIZE + AES_GCM_NONCE_SIZE)
#define INFO "secbox content key 1"

static const HpkeText info = { INFO, sizeof(INFO) - 1 };

static HpkeText text_of(const char *s)
{
    return (HpkeText) { s, strlen(s) };
}

static int decode(const char *text, uint8_t *ret, size_t len)
{
    _cleanup_(freep) uint8_t *data = NULL;
    size_t n = 0;
    int r = text ? base64url_decode(text, strlen(text), &data, &n) : -EINVAL;

    if (r == 0 && n != len)
        r = -EINVAL;
    if (r == 0)
        memcpy(ret, data, len);
    return r;
}

int seal_public_parse(const char *text, uint8_t ret[static HPKE_KEY_SIZE])
{
    return decode(text, ret, HPKE_KEY_SIZE);
}

char *seal_public_print(const HpkeKey *k)
{
    uint8_t public[HPKE_KEY_SIZE];

    return hpke_key_public(k, public) < 0 ? NULL : base64url_encode(public, sizeof(public));
}

bool seal_wrapped_is_valid(const char *text)
{
    uint8_t unused[SEAL_KEY_SIZE + HPKE_OVERHEAD];

    return decode(text, unused, sizeof(unused)) == 0;
}

int seal_wrap(const uint8_t content_key[static SEAL_KEY_SIZE], const uint8_t to[static HPKE_KEY_SIZE],
              const char *device, char **ret)
{
    uint8_t sealed[SEAL_KEY_SIZE + HPKE_OVERHEAD];
    int r = hpke_seal(HPKE_AES_256_GCM, to, info, text_of(device), (HpkeText) { content_key, SEAL_KEY_SIZE }, sealed);

    if (r < 0)
        return r;
    *ret = base64url_encode(sealed, sizeof(sealed));
    return *ret ? 0 : -ENOMEM;
}

int seal_unwrap(const char *wrapped, const HpkeKey *k, const char *device, uint8_t ret[static SEAL_KEY_SIZE])
{
    uint8_t sealed[SEAL_KEY_SIZE + HPKE_OVERHEAD];
    int r = decode(wrapped, sealed, sizeof(sealed));

    if (r < 0)
        return r == -ENOMEM ? r : -EBADMSG;
    return hpke_open(HPKE_AES_256_GCM, k, info, text_of(device), (HpkeText) { sealed, sizeof(sealed) }, ret);
}

bool seal_is_sealed(const char *data, size_t len)
{
    return len >= HEAD_SIZE + AES_GCM_TAG_SIZE && memcmp(data, MAGIC, MAGIC_SIZE) == 0;
}

int seal_file(const uint8_t content_key[static SEAL_KEY_SIZE], const char *path, const char *data, size_t len,
              char **ret, size_t *ret_len)
{
    uint8_t *out = malloc(HEAD_SIZE + len + AES_GCM_TAG_SIZE);
    int r;

    if (!out)
        return -ENOMEM;
    memcpy(out, MAGIC, MAGIC_SIZE);
    random_bytes(out + MAGIC_SIZE, AES_GCM_NONCE_SIZE);
    r = aes_gcm_seal((HpkeText) { content_key, SEAL_KEY_SIZE }, out + MAGIC_SIZE, text_of(path),
                     (HpkeText) { data, len }, out + HEAD_SIZE);
    if (r < 0) {
        free(out);
        return r;
    }
    *ret = (char *) out;
    *ret_len = HEAD_SIZE + len + AES_GCM_TAG_SIZE;
    return 0;
}

int seal_open_file(const uint8_t content_key[static SEAL_KEY_SIZE], const char *path, const char *data, size_t len,
                   char **ret, size_t *ret_len)
{
    size_t n = seal_is_sealed(data, len) ? len - HEAD_SIZE - AES_GCM_TAG_SIZE : 0;
    _cleanup_(freep) char *out = calloc(1, n + 1);
    int r = out ? 0 : -ENOMEM;

    if (r == 0 && !seal_is_sealed(data, len))
        r = -EBADMSG;
    if (r == 0)
        r = aes_gcm_open((HpkeText) { content_key, SEAL_KEY_SIZE }, (const uint8_t *) data + MAGIC_SIZE, text_of(path),
                         (HpkeText) { data + HEAD_SIZE, len - HEAD_SIZE }, (uint8_t *) out);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(out);
    *ret_len = n;
    return 0;
}
