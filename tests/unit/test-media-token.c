/* SPDX-License-Identifier: MIT */
/* Tokens for recordings: what is signed is read again, and nothing else is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/media-token.h"
#include "lib/data/pass.h"

#define NOW 1800000000u
#define DEVICE "caseta5"

static Key *new_key(void)
{
    Key *k = NULL;

    assert_int_equal(key_generate(&k, NULL), 0);
    return k;
}

static MediaToken a_token(void)
{
    return (MediaToken) { .device = (char *) DEVICE,
                          .camera = (char *) "entrada",
                          .person = (char *) "ana",
                          .from = NOW - 7200,
                          .until = NOW - 3600,
                          .not_before = NOW,
                          .expires = NOW + MEDIA_TOKEN_SECONDS };
}

static void refuse(const Key *key, const char *text, const char *device, uint64_t now, const char *id)
{
    _cleanup_(error_done) Error err = {};
    MediaToken got = {};

    assert_true(media_token_open(key, text, device, now, &got, &err) < 0);
    assert_string_equal(err.id, id);
    assert_null(got.device);
}

static void test_tokens(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *key = new_key(), *other = new_key();
    _cleanup_(freep) char *text = NULL;
    _cleanup_(media_token_done) MediaToken got = {};
    MediaToken made = a_token();

    assert_int_equal(media_token_sign(key, &made, &text, NULL), 0);
    assert_int_equal(media_token_open(key, text, DEVICE, NOW, &got, NULL), 0);
    assert_string_equal(got.device, DEVICE);
    assert_string_equal(got.camera, "entrada");
    assert_string_equal(got.person, "ana");
    assert_string_equal(got.id, made.id);
    assert_int_equal(got.from, made.from);
    assert_int_equal(got.until, made.until);
    assert_int_equal(got.expires, made.expires);
    refuse(other, text, DEVICE, NOW, "jwt.signature");
    refuse(key, text, "caseta6", NOW, "media.token-device");
    refuse(key, "", DEVICE, NOW, "jwt.malformed");
}

static void test_times(void **state)
{
    (void) state;
    static const struct {
        int64_t at;
        bool good;
    } cases[] = { { -JWT_LEEWAY_SECONDS - 1, false },
                  { -JWT_LEEWAY_SECONDS, true },
                  { 0, true },
                  { MEDIA_TOKEN_SECONDS, true },
                  { MEDIA_TOKEN_SECONDS + JWT_LEEWAY_SECONDS - 1, true },
                  { MEDIA_TOKEN_SECONDS + JWT_LEEWAY_SECONDS, false } };
    _cleanup_(key_freep) Key *key = new_key();
    _cleanup_(freep) char *text = NULL;
    MediaToken made = a_token();

    assert_int_equal(media_token_sign(key, &made, &text, NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(media_token_done) MediaToken got = {};
        uint64_t now = (uint64_t) (NOW + cases[i].at);

        if (cases[i].good)
            assert_int_equal(media_token_open(key, text, DEVICE, now, &got, NULL), 0);
        else
            refuse(key, text, DEVICE, now, "media.token-time");
    }
}

/* A guest's pass is signed with the same key. */
static void test_a_pass_is_no_token(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *key = new_key();
    _cleanup_(freep) char *text = NULL, *token = NULL;
    Pass pass = { .community = "018f3a52-7c11-7d3e-9a45-2f60c1d8e001",
                  .guest = "018f3a52-7c11-7d3e-9a45-2f60c1d8e0a1",
                  .from = NOW - 60,
                  .until = NOW + 60 },
         got;
    MediaToken made = a_token();
    Error err = {};

    assert_int_equal(pass_sign(key, &pass, &text, NULL), 0);
    refuse(key, text, DEVICE, NOW, "jwt.type");
    assert_int_equal(media_token_sign(key, &made, &token, NULL), 0);
    assert_int_equal(pass_open(key, token, &got, &err), -EACCES);
    assert_string_equal(err.id, "jwt.type");
    error_done(&err);
}

/* For one event and no window, which a box that knows no events takes for no token at all. */
static void test_an_event(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *key = new_key();
    _cleanup_(freep) char *text = NULL;
    _cleanup_(media_token_done) MediaToken got = {};
    _cleanup_(cJSON_Deletep) cJSON *claims = NULL;
    MediaToken made = a_token();

    made.event = (char *) "1700000000.123456-abc123";
    assert_int_equal(media_token_sign(key, &made, &text, NULL), 0);
    assert_int_equal(media_token_open(key, text, DEVICE, NOW, &got, NULL), 0);
    assert_string_equal(got.event, made.event);
    assert_string_equal(got.camera, "entrada");
    assert_true(got.from == 0 && got.until == 0);
    assert_int_equal(jwt_open(key, text, MEDIA_TOKEN_TYPE, &claims, NULL), 0);
    assert_null(cJSON_GetObjectItemCaseSensitive(claims, "from"));
    assert_null(cJSON_GetObjectItemCaseSensitive(claims, "until"));
}

#define CLAIMS(v, aud, cam, sub, jti, more)                                                                            \
    "{\"v\":" v ",\"aud\":\"" aud "\",\"cam\":\"" cam "\",\"sub\":\"" sub "\",\"jti\":\"" jti "\"" more "}"
#define ID "AAAAAAAAAAAAAAAA"
#define WINDOW ",\"from\":1,\"until\":2"
#define TIMES ",\"nbf\":1799999999,\"exp\":1800000100"

static void test_tokens_that_say_too_little(void **state)
{
    (void) state;
    static const char *const claims[] = {
        CLAIMS("2", DEVICE, "c", "s", ID, WINDOW TIMES),
        CLAIMS("1", "", "c", "s", ID, WINDOW TIMES),
        CLAIMS("1", DEVICE, "", "s", ID, WINDOW TIMES),
        CLAIMS("1", DEVICE, "../c", "s", ID, WINDOW TIMES),
        CLAIMS("1", DEVICE, "c", "", ID, WINDOW TIMES),
        CLAIMS("1", DEVICE, "c", "s", "short", WINDOW TIMES),
        CLAIMS("1", DEVICE, "c", "s", ID, TIMES),
        CLAIMS("1", DEVICE, "c", "s", ID, WINDOW),
        CLAIMS("1", DEVICE, "c", "s", ID, ",\"from\":2,\"until\":2" TIMES),
        CLAIMS("1", DEVICE, "c", "s", ID, ",\"event\":\"../config\"" TIMES),
        CLAIMS("1", DEVICE, "c", "s", ID, ",\"event\":\"\"" WINDOW TIMES),
        CLAIMS("1", DEVICE, "c", "s", ID, ",\"event\":1" WINDOW TIMES),
        CLAIMS("1", DEVICE, "c", "s", ID, ",\"from\":1.5,\"until\":2" TIMES),
        CLAIMS("1", DEVICE, "c", "s", ID, ",\"from\":-1,\"until\":2" TIMES),
    };
    _cleanup_(key_freep) Key *key = new_key();

    for (size_t i = 0; i < ELEMENTSOF(claims); i++) {
        _cleanup_(cJSON_Deletep) cJSON *payload = cJSON_Parse(claims[i]);
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(jwt_sign(key, MEDIA_TOKEN_TYPE, payload, &text, NULL), 0);
        refuse(key, text, DEVICE, NOW, "media.token-malformed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_an_event),
        cmocka_unit_test(test_a_pass_is_no_token),
        cmocka_unit_test(test_tokens_that_say_too_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
