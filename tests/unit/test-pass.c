/* SPDX-License-Identifier: MIT */
/* Guests' passes: what is signed is read again, and nothing else is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/jwt.h"
#include "lib/data/pass.h"

#define NOW 1800000000u

static Key *new_key(void)
{
    Key *k = NULL;

    assert_int_equal(key_generate(&k, NULL), 0);
    return k;
}

#define PASS_COMMUNITY "018f3a52-7c11-7d3e-9a45-2f60c1d8e001"
#define PASS_GUEST "018f3a52-7c11-7d3e-9a45-2f60c1d8e0a1"

static void test_passes(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *key = new_key(), *other = new_key(), *again = NULL;
    _cleanup_(freep) char *text = NULL, *device = NULL, *pem = NULL, *bad = NULL;
    Pass made = { .community = PASS_COMMUNITY, .guest = PASS_GUEST, .from = NOW, .until = NOW + 3600 }, got = {};
    Error err = {};

    assert_int_equal(pass_sign(key, &made, &text, NULL), 0);
    assert_true(strlen(text) < 360);
    /* the key as it is kept */
    assert_int_equal(key_to_text(key, &pem, NULL), 0);
    assert_int_equal(key_from_text(pem, strlen(pem), &again, NULL), 0);
    assert_int_equal(pass_open(again, text, &got, NULL), 0);
    assert_memory_equal(&got, &made, sizeof(got));
    assert_int_equal(pass_open(other, text, &got, &err), -EACCES);
    assert_string_equal(err.id, "jwt.signature");
    error_done(&err);
    /* a device's token of the same key is no pass, and every byte counts */
    JwtClaims claims = { .issuer = (char *) "i",
                         .audience = (char *) PASS_COMMUNITY,
                         .subject = (char *) PASS_GUEST,
                         .id = made.id,
                         .thumbprint = (char *) "t" };
    assert_int_equal(jwt_sign_device(key, &claims, &device, NULL), 0);
    assert_int_equal(pass_open(key, device, &got, &err), -EACCES);
    assert_string_equal(err.id, "jwt.type");
    error_done(&err);
    bad = strdup(text);
    for (size_t i = 0; i < strlen(text); i++) {
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        assert_true(pass_open(key, bad, &got, NULL) < 0);
        bad[i] = text[i];
    }
}

#define CLAIMS(v, aud, sub, jti, times)                                                                                \
    "{\"v\":" v ",\"aud\":\"" aud "\",\"sub\":\"" sub "\",\"jti\":\"" jti "\"" times "}"
#define PASS_ID "AAAAAAAAAAAAAAAA"

static void test_passes_that_say_too_little(void **state)
{
    (void) state;
    static const char *const claims[] = {
        CLAIMS("2", PASS_COMMUNITY, PASS_GUEST, PASS_ID, ",\"nbf\":1,\"exp\":2"),
        CLAIMS("1", "", PASS_GUEST, PASS_ID, ",\"nbf\":1,\"exp\":2"),
        CLAIMS("1", PASS_COMMUNITY, "me", PASS_ID, ",\"nbf\":1,\"exp\":2"),
        CLAIMS("1", PASS_COMMUNITY, PASS_GUEST, "short", ",\"nbf\":1,\"exp\":2"),
        CLAIMS("1", PASS_COMMUNITY, PASS_GUEST, PASS_ID, ",\"nbf\":1"),
        CLAIMS("1", PASS_COMMUNITY, PASS_GUEST, PASS_ID, ",\"nbf\":-1,\"exp\":2"),
    };
    _cleanup_(key_freep) Key *key = new_key();

    for (size_t i = 0; i < ELEMENTSOF(claims); i++) {
        _cleanup_(cJSON_Deletep) cJSON *payload = cJSON_Parse(claims[i]);
        _cleanup_(freep) char *text = NULL;
        Error err = {};
        Pass got;

        assert_int_equal(jwt_sign(key, PASS_TYPE, payload, &text, NULL), 0);
        assert_int_equal(pass_open(key, text, &got, &err), -EBADMSG);
        assert_string_equal(err.id, "pass.malformed");
        error_done(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_passes_that_say_too_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
