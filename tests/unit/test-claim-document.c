/* SPDX-License-Identifier: MIT */
/* Claims by which a box is paired, and the env files that they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "env/claim-document.h"
#include "env/env-edit.h"
#include "lib/base/strv.h"

#define NOW 1790000000
#define BOOT "the-secret-token"
#define DIGITS "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF"
#define NO_DIGITS "0123456789abcdeg0123456789ABCDEF0123456789abcdef0123456789ABCDEF"

static const char good[] =
    "{\"v\":1,\"typ\":\"secbox.claim\",\"deviceId\":\"caseta-5\",\"cloud\":\"https://a.cloud.example\","
    "\"gw\":\"wss://a.cloud.example/mgmt\",\"boot\":\"" BOOT "\",\"exp\":1790000600,\"com\":\"Los Olivos\"}";

/* `good` with a piece replaced. */
static char *with(const char *piece, const char *other)
{
    const char *at = strstr(good, piece);

    assert_non_null(at);
    return str_format("%.*s%s%s", (int) (at - good), good, other, at + strlen(piece));
}

static int parse(const char *text, uint64_t now, const char *suffix, ClaimDocument *ret, Error *err)
{
    return claim_document_parse(text, strlen(text), now, suffix, ret, err);
}

static void test_a_good_one(void **state)
{
    ClaimDocument c = {};
    Error err = {};

    (void) state;
    assert_int_equal(parse(good, NOW, NULL, &c, &err), 0);
    assert_string_equal(c.device_id, "caseta-5");
    assert_string_equal(c.cloud_url, "https://a.cloud.example");
    assert_string_equal(c.gateway_url, "wss://a.cloud.example/mgmt");
    assert_string_equal(c.bootstrap, BOOT);
    assert_string_equal(c.community, "Los Olivos");
    assert_int_equal(c.expires, 1790000600);
    claim_document_done(&c);
}

static void test_what_is_not_known_is_ignored(void **state)
{
    _cleanup_(freep) char *more = with("\"v\":1,", "\"v\":1,\"also\":[1,{}],\"later\":\"x\",");
    _cleanup_(freep) char *less = with(",\"com\":\"Los Olivos\"", "");
    ClaimDocument c = {};

    (void) state;
    assert_int_equal(parse(more, NOW, NULL, &c, NULL), 0);
    claim_document_done(&c);
    assert_int_equal(parse(less, NOW, NULL, &c, NULL), 0);
    assert_null(c.community);
    claim_document_done(&c);
}

static void test_each_refusal_names_its_member(void **state)
{
    static const struct {
        const char *piece, *other, *id, *key;
    } cases[] = {
        { "\"v\":1,", "", "claim.member", "v" },
        { "\"v\":1,", "\"v\":\"one\",", "claim.member", "v" },
        { "\"v\":1,", "\"v\":2,", "claim.version", "v" },
        { "secbox.claim", "secbox.pass", "claim.member", "typ" },
        { "\"deviceId\":\"caseta-5\",", "", "claim.member", "deviceId" },
        { "\"caseta-5\"", "5", "claim.member", "deviceId" },
        { "\"caseta-5\"", "null", "claim.member", "deviceId" },
        { "\"caseta-5\"", "\"\"", "claim.member", "deviceId" },
        { "\"caseta-5\"", "\"a b\"", "claim.member", "deviceId" },
        { "\"caseta-5\"", "\"${DEVICE}\"", "claim.unexpanded", "deviceId" },
        { "\"caseta-5\"", "\"a\\nBOOTSTRAP=x\"", "claim.member", "deviceId" },
        { "https://a", "http://a", "claim.member", "cloud" },
        { "https://a", "ftp://a", "claim.member", "cloud" },
        { "https://a.", "https://user:pass@a.", "claim.member", "cloud" },
        { "https://a.cloud.example", "https://a.cloud.example/?x", "claim.member", "cloud" },
        { "https://a.cloud.example", "https://${CLOUD}", "claim.unexpanded", "cloud" },
        { "wss://a", "ws://a", "claim.member", "gw" },
        { "/mgmt", "/device", "claim.member", "gw" },
        { "wss://a.cloud.example/mgmt", "", "claim.member", "gw" },
        { BOOT, "two words", "claim.member", "boot" },
        { BOOT, "the\\\\token", "claim.member", "boot" },
        { BOOT, "\\\"token", "claim.member", "boot" },
        { "\"boot\":\"" BOOT "\",", "", "claim.member", "boot" },
        { BOOT, "${BOOTSTRAP}", "claim.unexpanded", "boot" },
        { "1790000600", "\"soon\"", "claim.member", "exp" },
        { "1790000600", "-5", "claim.member", "exp" },
        { "1790000600", "1.5", "claim.member", "exp" },
        { "1790000600", "99999999999", "claim.member", "exp" },
        { "1790000600", "1790000000", "claim.expired", "exp" },
        { "\"v\":1,", "\"v\":1,\"kfp\":[1],", "claim.member", "kfp" },
        { "\"v\":1,", "\"v\":1,\"kfp\":\"\",", "claim.member", "kfp" },
        { "\"v\":1,", "\"v\":1,\"kfp\":\"abcdef\",", "claim.member", "kfp" },
        { "\"v\":1,", "\"v\":1,\"kfp\":\"" DIGITS "0\",", "claim.member", "kfp" },
        { "\"v\":1,", "\"v\":1,\"kfp\":\"" NO_DIGITS "\",", "claim.member", "kfp" },
        { "\"Los Olivos\"", "7", "claim.member", "com" },
        { "Los Olivos", "a\\u0007b", "claim.member", "com" },
        { "Los Olivos", "${COMMUNITY}", "claim.unexpanded", "com" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(freep) char *text = with(cases[i].piece, cases[i].other);
        _cleanup_(error_done) Error err = {};
        ClaimDocument c = {};

        assert_true(parse(text, NOW, NULL, &c, &err) < 0);
        if (!str_equal(err.id, cases[i].id) || !str_equal(err.key, cases[i].key))
            fail_msg("%s → %s: %s (%s)", cases[i].piece, cases[i].other, err.id, err.key ? err.key : "-");
        if (strstr(err.message, "two words") || strstr(err.message, BOOT))
            fail_msg("the token is shown: %s", err.message);
        assert_null(c.device_id);
    }
}

static void test_the_key_of_the_cloud(void **state)
{
    _cleanup_(freep) char *text = with("\"v\":1,", "\"v\":1,\"kfp\":\"" DIGITS "\",");
    ClaimDocument c = {};

    (void) state;
    assert_int_equal(parse(text, NOW, NULL, &c, NULL), 0);
    assert_string_equal(c.fingerprint, DIGITS);
    claim_document_done(&c);
    assert_int_equal(parse(good, NOW, NULL, &c, NULL), 0);
    assert_null(c.fingerprint);
    claim_document_done(&c);
}

/* One code for many boxes: each chooses its name, unless the code is for a certain one. */
static void test_a_token_for_many(void **state)
{
    _cleanup_(freep) char *named = with(BOOT, "sbe_many");
    _cleanup_(freep) char *odd = with("\"caseta-5\"", "\"a b\"");
    _cleanup_(freep) char *text = claim_document_print("https://cloud.example", NULL, "sbe_many", NOW + 1, NULL);
    ClaimDocument c = {};
    Error err = {};

    (void) state;
    assert_int_equal(parse(named, NOW, NULL, &c, NULL), 0);
    assert_string_equal(c.device_id, "caseta-5");
    assert_string_equal(c.enrolment, "sbe_many");
    assert_null(c.bootstrap);
    claim_document_done(&c);
    assert_int_equal(parse(text, NOW, NULL, &c, NULL), 0);
    assert_null(c.device_id);
    assert_string_equal(c.enrolment, "sbe_many");
    claim_document_done(&c);
    char *boot = strstr(odd, BOOT);
    memcpy(boot, "sbe_", 4);
    assert_true(parse(odd, NOW, NULL, &c, &err) < 0);
    assert_string_equal(err.key, "deviceId");
    error_done(&err);
}

static void test_what_is_no_claim_at_all(void **state)
{
    static const char *const texts[] = { "", "null", "[]", "hello", "{\"v\":1", "{}{}", "{\"v\":1,\"v\":1}" };
    char *large = calloc(1, CLAIM_DOCUMENT_MAX + 2);
    ClaimDocument c = {};

    (void) state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        _cleanup_(error_done) Error err = {};

        assert_true(parse(texts[i], NOW, NULL, &c, &err) < 0);
        assert_string_equal(err.id, "claim.not-json");
    }
    Error err = {};
    memset(large, ' ', CLAIM_DOCUMENT_MAX + 1);
    assert_true(parse(large, NOW, NULL, &c, &err) < 0);
    assert_string_equal(err.id, "claim.too-large");
    error_done(&err);
    free(large);
}

static void test_a_clock_that_is_not_set_judges_nothing(void **state)
{
    ClaimDocument c = {};
    Error err = {};

    (void) state;
    assert_int_equal(parse(good, 0, NULL, &c, &err), 0);
    claim_document_done(&c);
    assert_true(parse(good, NOW + 600, NULL, &c, &err) < 0);
    assert_non_null(strstr(err.message, "this box's clock says 2026-09-21T14:23:20"));
    error_done(&err);
}

static void test_hosts(void **state)
{
    static const struct {
        const char *suffix;
        bool fits;
    } cases[] = {
        { "cloud.example", true },
        { "a.cloud.example", true },
        { "Cloud.Example", true },
        { "loud.example", false },
        { "b.cloud.example", false },
        { "cloud.example.org", false },
        { "", true },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(error_done) Error err = {};
        ClaimDocument c = {};
        int r = parse(good, NOW, cases[i].suffix, &c, &err);

        if ((r == 0) != cases[i].fits)
            fail_msg("%s: %s", cases[i].suffix, error_message(&err, r));
        if (r < 0)
            assert_string_equal(err.id, "claim.host");
        claim_document_done(&c);
    }
    _cleanup_(freep) char *other = with("wss://a.cloud.example", "wss://evil.example:443");
    _cleanup_(error_done) Error err = {};
    ClaimDocument c = {};
    assert_true(parse(other, NOW, "cloud.example", &c, &err) < 0);
    assert_string_equal(err.key, "gw");
    assert_non_null(strstr(err.message, "evil.example"));
}

static void test_what_is_printed_can_be_read(void **state)
{
    _cleanup_(freep) char *text = claim_document_print("https://cloud.example:8443/x/", "box-1", "b", NOW + 1, NULL);
    ClaimDocument c = {};

    (void) state;
    assert_non_null(text);
    assert_int_equal(parse(text, NOW, NULL, &c, NULL), 0);
    assert_string_equal(c.gateway_url, "wss://cloud.example:8443/x/mgmt");
    claim_document_done(&c);
}

static void test_env_edit(void **state)
{
    static const EnvChange changes[] = { { "A", "1" }, { "GONE", NULL }, { "NEW", "n" }, {} };
    _cleanup_(freep) char *text = env_edit("# A=comment\nA=0\nAB=2\n\nGONE=x\nexport A=7\nB='q'", changes);
    _cleanup_(freep) char *empty = env_edit("", changes);

    (void) state;
    assert_string_equal(text, "# A=comment\nA=1\nAB=2\n\nB='q'\nNEW=n\n");
    assert_string_equal(empty, "A=1\nNEW=n\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_one),
        cmocka_unit_test(test_what_is_not_known_is_ignored),
        cmocka_unit_test(test_each_refusal_names_its_member),
        cmocka_unit_test(test_the_key_of_the_cloud),
        cmocka_unit_test(test_a_token_for_many),
        cmocka_unit_test(test_what_is_no_claim_at_all),
        cmocka_unit_test(test_a_clock_that_is_not_set_judges_nothing),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_what_is_printed_can_be_read),
        cmocka_unit_test(test_env_edit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
