/* SPDX-License-Identifier: MIT */
/* No text that is not signed by the right key is ever accepted as a device token or a pass; tokens and JWKs of any shape are
 * refused without harm. */
#include <stdint.h>
#include <string.h>

#include "lib/data/json.h"
#include "lib/data/jwt-set.h"
#include "lib/data/jwt.h"
#include "lib/data/pass.h"
#include "tests/fuzz/starve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made anew in every run, so that no corpus can hold a token of it. */
static const Key *issuer(void)
{
    static Key *key;

    if (!key && key_generate(&key, NULL) < 0)
        abort();
    return key;
}

static void check_proof(const char *text)
{
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(freep) char *id = NULL, *print = NULL;

    if (jwt_verify_proof(text, "POST", "/token", NULL, 1562262616, &key, &id, NULL) < 0)
        return;
    print = key_thumbprint(key);
    if (!id || !print || strlen(print) != 43)
        abort();
}

/* A set of any shape, and a token of any shape against a set that has no key. */
static void check_set(const char *data, size_t size, const char *text)
{
    static const char token[] = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UifQ.AAAA";
    _cleanup_(cJSON_Deletep) cJSON *set = NULL, *claims = NULL, *none = cJSON_CreateObject();

    if (json_parse_object(data, size, &set, NULL) == 0 && jwks_open(set, token, &claims, NULL) >= 0)
        broken("a set of keys takes a token that none of them signed");
    if (none && jwks_open(none, text, &claims, NULL) >= 0)
        broken("a set without keys takes a token");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    _cleanup_(key_freep) Key *key = NULL;
    JwtExpect expect = { .type = JWT_TYPE_DEVICE, .now = 1562262616, .allow_expired = 1 };
    JwtClaims claims = {};
    Pass pass;

    if (!text)
        return 0;
    if (jwt_verify_device(issuer(), text, &expect, &claims, NULL) >= 0)
        broken("a device's token that nobody signed is taken");
    if (pass_open(issuer(), text, &pass, NULL) >= 0)
        broken("a pass that nobody signed is taken");
    if (jwt_peek(text, &claims, NULL) == 0)
        jwt_claims_done(&claims);
    check_proof(text);
    check_set((const char *) data, size, text);
    if (key_from_jwk((const char *) data, size, &key, NULL) == 0)
        free(key_jwk(key));
    return 0;
}
