/* SPDX-License-Identifier: MIT */
/* See secrets.h. */
#include "gateway/auth/secrets.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"

#define SECRET_BYTES 32
#define SECRET_CHARS 43 /* of base64url */

int secret_make(const char *prefix, char **ret, char ret_hash[static SECRET_HASH_SIZE])
{
    uint8_t bytes[SECRET_BYTES];
    random_bytes(bytes, sizeof(bytes));
    _cleanup_(secret_freep) char *encoded = base64url_encode(bytes, sizeof(bytes));
    explicit_bzero(bytes, sizeof(bytes));
    if (!encoded)
        return -ENOMEM;
    _cleanup_(secret_freep) char *secret = str_format("%s%s", prefix, encoded);
    if (!secret)
        return -ENOMEM;
    int r = sha256_hex(secret, strlen(secret), ret_hash);
    if (r >= 0)
        *ret = TAKE_PTR(secret);
    return r;
}

const char *bearer_token(const HttpExchange *x)
{
    const char *header = http_header(x, "Authorization");
    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    header += 7;
    while (*header == ' ')
        header++;
    return *header ? header : NULL;
}

int operator_token_hash(const HttpExchange *x, char ret[static SECRET_HASH_SIZE], Error *err)
{
    return operator_token_hash_of(bearer_token(x), ret, err);
}

int operator_token_hash_of(const char *token, char ret[static SECRET_HASH_SIZE], Error *err)
{
    if (!token)
        return error_set(err, EKEYREJECTED, "operator.token-missing",
                         "name yourself with \"Authorization: Bearer TOKEN\" (see: secbox-gateway tokens add)");
    if (!str_starts(token, OPERATOR_TOKEN_PREFIX) || strlen(token) != strlen(OPERATOR_TOKEN_PREFIX) + SECRET_CHARS ||
        sha256_hex(token, strlen(token), ret) < 0)
        return error_set(err, EKEYREJECTED, "operator.token-unknown",
                         "this is not an operator token (" OPERATOR_TOKEN_PREFIX "…)");
    return 0;
}

int random_id(char ret[static RANDOM_ID_SIZE])
{
    uint8_t bytes[16];
    random_bytes(bytes, sizeof(bytes));
    _cleanup_(freep) char *hex = hex_encode(bytes, sizeof(bytes));
    if (!hex)
        return -ENOMEM;
    memcpy(ret, hex, RANDOM_ID_SIZE);
    return 0;
}
