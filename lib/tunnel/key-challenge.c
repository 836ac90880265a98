/* SPDX-License-Identifier: MIT */
/* What is signed names its purpose: the signature is good for nothing else that this key may sign. */
#include "lib/tunnel/key-challenge.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"

#define PURPOSE "secbox-recovery-v1"

/* Neither part can hold a newline, so that one text stands for one nonce and one device. */
static char *signed_text(const char *nonce, const char *device)
{
    size_t n = 0;
    while (nonce[n] > ' ' && nonce[n] <= '~')
        n++;
    if (n == 0 || n > CHALLENGE_NONCE_MAX || nonce[n] != '\0' || strchr(device, '\n'))
        return NULL;
    return str_format(PURPOSE "\n%s\n%s\n", nonce, device);
}

int challenge_prove(const Key *key, const char *nonce, const char *device, char **ret)
{
    uint8_t signature[KEY_SIGNATURE_SIZE];
    _cleanup_(freep) char *text = signed_text(nonce, device);
    if (!text)
        return -EINVAL;
    int r = key_sign(key, text, strlen(text), signature);
    if (r < 0)
        return r;
    char *proof = base64url_encode(signature, sizeof(signature));
    if (!proof)
        return -ENOMEM;
    *ret = proof;
    return 0;
}

int challenge_check(const Key *key, const char *nonce, const char *device, const char *proof)
{
    _cleanup_(freep) char *text = signed_text(nonce, device);
    _cleanup_(freep) uint8_t *signature = NULL;
    size_t len = 0;
    if (!text)
        return -EBADMSG;
    int r = base64url_decode(proof, strlen(proof), &signature, &len);
    if (r < 0)
        return r == -ENOMEM ? r : -EBADMSG;
    return key_verify(key, text, strlen(text), signature, len);
}
