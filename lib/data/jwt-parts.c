/* SPDX-License-Identifier: MIT */
#include "lib/data/jwt-parts.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/data/json.h"

void jwt_parts_done(JwtParts *t)
{
    cJSON_Delete(t->header);
    cJSON_Delete(t->payload);
    free(t->signature);
    *t = (JwtParts) {};
}

static int decode_object(const char *text, size_t len, const char *what, cJSON **ret, Error *err)
{
    _cleanup_(freep) uint8_t *bytes = NULL;
    _cleanup_(error_done) Error json_err = {};
    size_t n = 0;

    if (base64url_decode(text, len, &bytes, &n) < 0)
        return error_set(err, EBADMSG, "jwt.malformed", "the token's %s is not base64url", what);
    if (json_parse_object((const char *) bytes, n, ret, &json_err) < 0)
        return error_set(err, EBADMSG, "jwt.malformed", "the token's %s: %s", what, error_message(&json_err, -EBADMSG));
    return 0;
}

int jwt_parts_read(const char *token, size_t max, JwtParts *ret, Error *err)
{
    size_t len = strnlen(token, max + 1);
    const char *first = memchr(token, '.', len), *second;
    int r;

    if (len > max)
        return error_set(err, EMSGSIZE, "jwt.too-large", "the token is longer than %zu bytes", max);
    second = first ? strchr(first + 1, '.') : NULL;
    if (!second || strchr(second + 1, '.'))
        return error_set(err, EBADMSG, "jwt.malformed", "the token does not have three parts with a dot between them");
    ret->signed_text = token;
    ret->signed_len = (size_t) (second - token);
    r = decode_object(token, (size_t) (first - token), "header", &ret->header, err);
    if (r < 0)
        return r;
    r = decode_object(first + 1, (size_t) (second - first - 1), "payload", &ret->payload, err);
    if (r < 0)
        return r;
    if (base64url_decode(second + 1, strlen(second + 1), &ret->signature, &ret->signature_len) < 0)
        return error_set(err, EBADMSG, "jwt.malformed", "the token's signature is not base64url");
    return 0;
}
