/* SPDX-License-Identifier: MIT */
/* What is signed names its purpose: the signature is good for nothing else that this key may sign. */
#include "lib/tunnel/voucher.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"

#define PURPOSE "secbox-vouch-v1"
#define NOTHING "-" /* about a role; no thumbprint */
#define PART_MAX 128

static bool is_thumbprint(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return text && strlen(text) == THUMBPRINT_LENGTH && strspn(text, letters) == THUMBPRINT_LENGTH;
}

/* No part can hold a newline, so that one text stands for one set of parts. */
static bool is_part(const char *text)
{
    size_t n = 0;

    while (text && text[n] > ' ' && text[n] <= '~')
        n++;
    return n > 0 && n <= PART_MAX && text[n] == '\0';
}

static char *signed_text(const Voucher *v)
{
    if (!is_part(v->nonce) || !is_part(v->device) || (v->device_key && !is_thumbprint(v->device_key)) ||
        (v->recovery_key && !is_thumbprint(v->recovery_key)))
        return NULL;
    return str_format(PURPOSE "\n%s\n%s\n%s\n%s\n", v->nonce, v->device, v->device_key ? v->device_key : NOTHING,
                      v->recovery_key ? v->recovery_key : NOTHING);
}

int voucher_sign(const Key *key, const Voucher *v, char **ret)
{
    uint8_t signature[KEY_SIGNATURE_SIZE];
    _cleanup_(freep) char *text = signed_text(v);

    if (!text)
        return -EINVAL;
    int r = key_sign(key, text, strlen(text), signature);
    if (r < 0)
        return r;
    char *encoded = base64url_encode(signature, sizeof(signature));
    if (!encoded)
        return -ENOMEM;
    *ret = encoded;
    return 0;
}

int voucher_check(const Key *key, const Voucher *v, const char *signature)
{
    _cleanup_(freep) char *text = signed_text(v);
    _cleanup_(freep) uint8_t *bytes = NULL;
    size_t len = 0;

    if (!text || !signature)
        return -EBADMSG;
    int r = base64url_decode(signature, strlen(signature), &bytes, &len);
    if (r < 0)
        return r == -ENOMEM ? r : -EBADMSG;
    return key_verify(key, text, strlen(text), bytes, len);
}

int key_offer_write(const char *path, const Key *key, Error *err)
{
    _cleanup_(freep) char *thumbprint = key_thumbprint(key), *text = NULL, *before = key_offer_read(path);

    text = thumbprint ? str_format("%s\n", thumbprint) : NULL;
    if (!text)
        return error_from_errno(err, -ENOMEM, "cannot show which key is ours");
    if (str_equal(before, thumbprint))
        return 0;
    return file_write_atomic(path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, err);
}

char *key_offer_read(const char *path)
{
    char *text = NULL;

    if (file_read(path, THUMBPRINT_LENGTH + 1, &text, NULL, NULL) < 0)
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    if (!is_thumbprint(text)) {
        free(text);
        return NULL;
    }
    return text;
}
