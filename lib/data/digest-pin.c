/* SPDX-License-Identifier: MIT */
#include "lib/data/digest-pin.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"

#define PREFIX "$scrypt$ln=14,r=8,p=1$"
#define COST (UINT64_C(1) << 14)
#define BLOCK 8
#define MEMORY_MAX (UINT64_C(64) << 20)
#define SALT_SIZE 16
#define HASH_SIZE 32

bool pin_is_valid(const char *pin)
{
    size_t len = pin ? strlen(pin) : 0;
    return len >= PIN_DIGITS_MIN && len <= PIN_DIGITS_MAX && strspn(pin, "0123456789") == len;
}

static int format(const char *pin, const void *salt, char ret[static PIN_HASH_SIZE])
{
    unsigned char hash[HASH_SIZE];
    if (EVP_PBE_scrypt(pin, strlen(pin), salt, SALT_SIZE, COST, BLOCK, 1, MEMORY_MAX, hash, sizeof(hash)) != 1)
        return -ENOMEM;
    _cleanup_(freep) char *salt_text = base64url_encode(salt, SALT_SIZE), *text = base64url_encode(hash, sizeof(hash));
    if (!salt_text || !text)
        return -ENOMEM;
    (void) snprintf(ret, PIN_HASH_SIZE, PREFIX "%s$%s", salt_text, text);
    return 0;
}

int pin_hash(const char *pin, char ret[static PIN_HASH_SIZE])
{
    unsigned char salt[SALT_SIZE];
    random_bytes(salt, sizeof(salt));
    return format(pin, salt, ret);
}

int pin_check(const char *pin, const char *hash)
{
    _cleanup_(freep) uint8_t *salt = NULL;
    char again[PIN_HASH_SIZE];
    size_t len = 0;
    if (!str_starts(hash, PREFIX))
        return -EINVAL;
    const char *text = hash + strlen(PREFIX);
    if (base64url_decode(text, strcspn(text, "$"), &salt, &len) < 0 || len != SALT_SIZE)
        return -EINVAL;
    int r = format(pin, salt, again);
    return r < 0 ? r : secret_equal(again, hash);
}
