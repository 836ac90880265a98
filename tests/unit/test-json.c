/* SPDX-License-Identifier: MIT */
/* What is JSON and what is not, by RFC 8259 and by this tree's own limits; duplicate keys; printing; errors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define TEXT(s) s, sizeof(s) - 1

typedef struct Case {
    const char *name;
    const char *text;
    size_t len;
    const char *id; /* NULL: must be accepted */
} Case;

static const Case cases[] = {
    /* values */
    { "y_true", TEXT("true"), NULL },
    { "y_null_spaces", TEXT(" \t\r\n null \n"), NULL },
    { "y_empty_object", TEXT("{}"), NULL },
    { "y_empty_array", TEXT("[ ]"), NULL },
    { "y_nested", TEXT("{\"a\":[1,{\"b\":[]},[[]]],\"c\":{}}"), NULL },
    { "y_empty_key", TEXT("{\"\":0}"), NULL },
    { "y_same_key_in_other_objects", TEXT("[{\"a\":1},{\"a\":{\"a\":2}}]"), NULL },
    { "y_keys_by_case", TEXT("{\"a\":1,\"A\":2}"), NULL },
    { "n_empty", TEXT(""), "json.syntax" },
    { "n_space", TEXT(" \n"), "json.syntax" },
    { "n_word", TEXT("nul"), "json.syntax" },
    { "n_word_case", TEXT("True"), "json.syntax" },
    { "n_word_glued", TEXT("truefalse"), "json.syntax" },
    { "n_nan", TEXT("NaN"), "json.syntax" },
    { "n_infinity", TEXT("[-Infinity]"), "json.syntax" },
    { "n_bare_word", TEXT("{a:1}"), "json.syntax" },
    { "n_single_quotes", TEXT("{'a':1}"), "json.syntax" },
    { "n_comment", TEXT("[1] // one"), "json.syntax" },
    { "n_comment_block", TEXT("/**/[1]"), "json.syntax" },
    { "n_bom", TEXT("\xEF\xBB\xBF{}"), "json.syntax" },
    { "n_form_feed_space", TEXT("[\f1]"), "json.syntax" },
    { "n_no_break_space",
      TEXT("[\xC2\xA0"
           "1]"),
      "json.syntax" },
    { "n_nul_behind", TEXT("{}\0"), "json.syntax" },
    { "n_nul_inside", TEXT("[1\0]"), "json.syntax" },
    /* structure */
    { "n_trailing_value", TEXT("{} {}"), "json.syntax" },
    { "n_trailing_bracket", TEXT("[1]]"), "json.syntax" },
    { "n_trailing_comma_array", TEXT("[1,]"), "json.syntax" },
    { "n_trailing_comma_object", TEXT("{\"a\":1,}"), "json.syntax" },
    { "n_leading_comma", TEXT("[,1]"), "json.syntax" },
    { "n_double_comma", TEXT("[1,,2]"), "json.syntax" },
    { "n_missing_comma", TEXT("[1 2]"), "json.syntax" },
    { "n_missing_colon", TEXT("{\"a\" 1}"), "json.syntax" },
    { "n_double_colon", TEXT("{\"a\"::1}"), "json.syntax" },
    { "n_missing_value", TEXT("{\"a\":}"), "json.syntax" },
    { "n_key_only", TEXT("{\"a\"}"), "json.syntax" },
    { "n_number_key", TEXT("{1:1}"), "json.syntax" },
    { "n_unclosed_array", TEXT("[1"), "json.syntax" },
    { "n_unclosed_object", TEXT("{\"a\":1"), "json.syntax" },
    { "n_open_only", TEXT("["), "json.syntax" },
    { "n_close_only", TEXT("]"), "json.syntax" },
    { "n_wrong_closer", TEXT("[1}"), "json.syntax" },
    { "n_wrong_closer_object", TEXT("{\"a\":1]"), "json.syntax" },
    { "n_colon_in_array", TEXT("[\"a\":1]"), "json.syntax" },
    /* numbers */
    { "y_zero", TEXT("0"), NULL },
    { "y_minus_zero", TEXT("-0"), NULL },
    { "y_fraction", TEXT("-0.5"), NULL },
    { "y_exponent", TEXT("[1e5,1E+5,1e-5,0e0,12.5e01]"), NULL },
    { "n_leading_zero", TEXT("01"), "json.syntax" },
    { "n_minus_leading_zero", TEXT("[-012]"), "json.syntax" },
    { "n_plus", TEXT("+1"), "json.syntax" },
    { "n_minus", TEXT("-"), "json.syntax" },
    { "n_minus_space", TEXT("- 1"), "json.syntax" },
    { "n_point_first", TEXT("[.5]"), "json.syntax" },
    { "n_point_last", TEXT("[1.]"), "json.syntax" },
    { "n_point_exponent", TEXT("[1.e5]"), "json.syntax" },
    { "n_no_exponent", TEXT("1e"), "json.syntax" },
    { "n_no_exponent_sign", TEXT("1e+"), "json.syntax" },
    { "n_hex", TEXT("0x10"), "json.syntax" },
    { "n_underscore", TEXT("1_000"), "json.syntax" },
    { "n_two_points", TEXT("1.2.3"), "json.syntax" },
    { "n_overflow", TEXT("[1e999]"), "json.syntax" },
    { "n_long", TEXT("1234567890123456789012345678901234567890123456789012345678901"), "json.syntax" },
    { "y_sixty", TEXT("123456789012345678901234567890123456789012345678901234567890"), NULL },
    /* strings */
    { "y_escapes", TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""), NULL },
    { "y_surrogates", TEXT("\"\\uD83D\\uDE00\\ud83d\\ude00\""), NULL },
    { "y_utf8", TEXT("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""), NULL },
    { "y_delete", TEXT("\"\x7F\""), NULL },
    { "n_raw_newline", TEXT("\"a\nb\""), "json.syntax" },
    { "n_raw_tab", TEXT("\"a\tb\""), "json.syntax" },
    { "n_raw_nul", TEXT("\"a\0b\""), "json.syntax" },
    { "n_raw_control_key", TEXT("{\"a\x01\":1}"), "json.syntax" },
    { "n_escaped_nul", TEXT("\"a\\u0000b\""), "json.syntax" },
    { "n_escaped_nul_key", TEXT("{\"a\\u0000\":1}"), "json.syntax" },
    { "n_unclosed", TEXT("\"abc"), "json.syntax" },
    { "n_unclosed_escape", TEXT("\"abc\\\""), "json.syntax" },
    { "n_ends_in_backslash", TEXT("\"abc\\"), "json.syntax" },
    { "n_escape_x", TEXT("\"\\x41\""), "json.syntax" },
    { "n_escape_quote", TEXT("\"\\'\""), "json.syntax" },
    { "n_escape_nul", TEXT("\"\\\0\""), "json.syntax" },
    { "n_escape_upper_u", TEXT("\"\\U0041\""), "json.syntax" },
    { "n_short_u", TEXT("\"\\u12\""), "json.syntax" },
    { "n_short_u_end", TEXT("\"\\u12"), "json.syntax" },
    { "n_bad_u", TEXT("\"\\u12G4\""), "json.syntax" },
    { "n_lone_high", TEXT("\"\\uD83D\""), "json.syntax" },
    { "n_lone_low", TEXT("\"\\uDE00\""), "json.syntax" },
    { "n_high_high", TEXT("\"\\uD83D\\uD83D\""), "json.syntax" },
    { "n_high_text", TEXT("\"\\uD83Dxx\""), "json.syntax" },
    { "n_high_short", TEXT("\"\\uD83D\\uDE\""), "json.syntax" },
    { "n_latin1", TEXT("\"\xE9\""), "json.not-utf8" },
    { "n_overlong", TEXT("\"\xC0\xAF\""), "json.not-utf8" },
    { "n_utf8_surrogate", TEXT("\"\xED\xA0\x80\""), "json.not-utf8" },
    { "n_utf8_cut", TEXT("\"\xE2\x82"), "json.not-utf8" },
    { "n_utf16", TEXT("[\0]\0"), "json.syntax" },
    /* duplicates */
    { "n_twice", TEXT("{\"a\":1,\"a\":2}"), "json.duplicate-key" },
    { "n_twice_apart", TEXT("{\"a\":1,\"b\":2,\"c\":3,\"a\":1}"), "json.duplicate-key" },
    { "n_twice_escaped", TEXT("{\"a\":1,\"\\u0061\":1}"), "json.duplicate-key" },
    { "n_twice_below", TEXT("[0,{\"x\":[{\"a\":1,\"a\":1}]}]"), "json.duplicate-key" },
    { "n_twice_empty", TEXT("{\"\":1,\"\":1}"), "json.duplicate-key" },
};

static void test_conformance(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const Case *c = &cases[i];
        /* an exact copy on the heap, so that reading one byte too far is seen */
        _cleanup_(freep) char *copy = malloc(c->len ? c->len : 1);
        _cleanup_(cJSON_Deletep) cJSON *value = NULL;
        Error err = {};
        int r;

        memcpy(copy, c->text, c->len);
        r = json_parse(copy, c->len, &value, &err);
        if ((c->id == NULL) != (r == 0) || !str_equal(err.id, c->id) || (r < 0) != (value == NULL))
            fail_msg("%s: got %d, %s", c->name, r, r < 0 ? error_message(&err, r) : "accepted");
        error_done(&err);
    }
}

static int parse_repeated(const char *before, const char *unit, size_t n, const char *after, const char **ret_id)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(8 * 1024 * 1024);
    _cleanup_(cJSON_Deletep) cJSON *value = NULL;
    Error err = {};
    int r = buf_puts(&b, before);

    for (size_t i = 0; r == 0 && i < n; i++)
        r = buf_puts(&b, unit);
    if (r == 0)
        r = buf_puts(&b, after);
    assert_int_equal(r, 0);
    r = json_parse(b.data, b.len, &value, &err);
    *ret_id = err.id;
    error_done(&err);
    return r;
}

static void test_f34_limits(void **state)
{
    (void) state;
    const char *id = NULL;

    assert_int_equal(parse_repeated("", "[", JSON_DEPTH_MAX, "1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", &id), 0);
    assert_true(parse_repeated("", "[", JSON_DEPTH_MAX + 1, "1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", &id) < 0);
    assert_string_equal(id, "json.too-deep");
    assert_true(parse_repeated("", "[", 900000, "", &id) < 0);
    assert_string_equal(id, "json.too-deep");
    assert_true(parse_repeated("", "{\"a\":", 100000, "", &id) < 0);
    assert_string_equal(id, "json.too-deep");
    assert_int_equal(parse_repeated("[0", ",0", JSON_VALUES_MAX - 2, "]", &id), 0);
    assert_true(parse_repeated("[0", ",0", JSON_VALUES_MAX - 1, "]", &id) < 0);
    assert_string_equal(id, "json.too-large");
    assert_int_equal(parse_repeated("\"", "x", JSON_SIZE_MAX - 2, "\"", &id), 0);
    assert_true(parse_repeated("\"", "x", JSON_SIZE_MAX - 1, "\"", &id) < 0);
    assert_string_equal(id, "json.too-large");
}

/* 50,000 members: a comparison of each with each would be 1.25e9 string comparisons. */
static void test_many_members(void **state)
{
    (void) state;
    _cleanup_(buf_done) Buf b = BUF_INIT(JSON_SIZE_MAX);
    _cleanup_(cJSON_Deletep) cJSON *value = NULL;
    Error err = {};

    assert_int_equal(buf_puts(&b, "{\"last\":0"), 0);
    for (unsigned i = 0; i < 50000; i++)
        assert_int_equal(buf_printf(&b, ",\"key%u\":0", (i * 7919) % 50000), 0);
    assert_int_equal(buf_puts(&b, "}"), 0);
    assert_int_equal(json_parse(b.data, b.len, &value, &err), 0);
    b.len--;
    assert_int_equal(buf_puts(&b, ",\"last\":1}"), 0);
    cJSON_Delete(TAKE_PTR(value));
    assert_true(json_parse(b.data, b.len, &value, &err) < 0);
    assert_string_equal(err.id, "json.duplicate-key");
    assert_string_equal(err.key, "last");
    error_done(&err);
}

static void test_error_names_the_line(void **state)
{
    (void) state;
    cJSON *value = NULL;
    Error err = {};

    assert_true(json_parse(TEXT("{\n  \"a\": 1,\n  \"b\": 01\n}"), &value, &err) < 0);
    assert_int_equal(err.line, 3);
    assert_non_null(strstr(err.message, "leading zero"));
    error_done(&err);
    assert_true(json_parse_object(TEXT("[{}]"), &value, &err) < 0);
    assert_string_equal(err.id, "json.not-object");
    error_done(&err);
    assert_true(json_parse(TEXT("[1"), &value, NULL) < 0);
    assert_null(value);
}

static void test_access(void **state)
{
    (void) state;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    Error err = {};
    uint64_t n = 77;

    assert_int_equal(
        json_parse_object(TEXT("{\"s\":\"x\",\"t\":true,\"f\":false,\"n\":12,\"big\":\"18446744073709551615\","
                               "\"over\":\"18446744073709551616\",\"neg\":-1,\"frac\":1.5,\"sign\":\"+1\","
                               "\"space\":\" 1\",\"empty\":\"\",\"far\":9007199254740993,\"e\":1e3}"),
                          &o, &err),
        0);
    assert_string_equal(json_string(o, "s"), "x");
    assert_null(json_string(o, "S"));
    assert_null(json_string(o, "n"));
    assert_null(json_string(NULL, "s"));
    assert_true(json_bool(o, "t", false));
    assert_false(json_bool(o, "f", true));
    assert_true(json_bool(o, "none", true));
    assert_false(json_bool(o, "s", false));
    for (const char *const *key = (const char *const[]) { "over", "neg", "frac", "sign", "space", "empty", "t", NULL };
         *key; key++)
        if (json_u64(o, *key, &n) != -EINVAL)
            fail_msg("json_u64 took \"%s\"", *key);
    assert_int_equal(json_u64(o, "none", &n), -ENOENT);
    assert_int_equal(n, 77);
    assert_int_equal(json_u64(o, "n", &n), 0);
    assert_int_equal(n, 12);
    assert_int_equal(json_u64(o, "e", &n), 0);
    assert_int_equal(n, 1000);
    assert_int_equal(json_u64(o, "big", &n), 0);
    assert_true(n == UINT64_MAX);
}

static void test_build_and_print(void **state)
{
    (void) state;
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    cJSON *list = cJSON_CreateArray();

    assert_int_equal(json_add_string(o, "z", "\"\n"), 0);
    assert_int_equal(json_add_string(o, "gone", NULL), 0);
    assert_int_equal(json_add_u64(o, "u", UINT64_MAX), 0);
    assert_int_equal(json_add_int(o, "i", -5), 0);
    assert_int_equal(json_add_bool(o, "b", true), 0);
    assert_int_equal(json_append(list, cJSON_CreateString("x")), 0);
    assert_int_equal(json_append(list, NULL), -ENOMEM);
    assert_int_equal(json_add_item(o, "a", list), 0);
    assert_int_equal(json_add_item(o, "n", NULL), -ENOMEM);
    assert_int_equal(json_add_item(NULL, "n", cJSON_CreateNull()), -ENOMEM);

    _cleanup_(freep) char *plain = json_print(o);
    assert_string_equal(plain, "{\"z\":\"\\\"\\n\",\"u\":\"18446744073709551615\",\"i\":-5,\"b\":true,\"a\":[\"x\"]}");
    _cleanup_(freep) char *canonical = json_print_canonical(o);
    assert_string_equal(canonical,
                        "{\"a\":[\"x\"],\"b\":true,\"i\":-5,\"u\":\"18446744073709551615\",\"z\":\"\\\"\\n\"}");
    _cleanup_(freep) char *pretty = json_print_pretty(o);
    assert_non_null(strchr(pretty, '\n'));
    _cleanup_(freep) char *again = json_print(o);
    assert_string_equal(plain, again); /* the original keeps its order */
    assert_null(json_print(NULL));
    assert_null(json_print_canonical(NULL));
}

static void test_canonical_at_every_level(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "{\"b\":{\"y\":1,\"x\":[{\"q\":1,\"p\":2}]},\"a\":0,\"aa\":3}",
        "{ \"aa\": 3, \"a\":0,\"b\":{\"x\":[{\"p\":2,\"q\":1}],\"y\":1}}",
    };

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(cJSON_Deletep) cJSON *o = NULL;
        Error err = {};

        assert_int_equal(json_parse(texts[i], strlen(texts[i]), &o, &err), 0);
        _cleanup_(freep) char *text = json_print_canonical(o);
        assert_string_equal(text, "{\"a\":0,\"aa\":3,\"b\":{\"x\":[{\"p\":2,\"q\":1}],\"y\":1}}");
    }
}

static void test_errors_travel(void **state)
{
    (void) state;
    Error err = {}, back = {};

    assert_int_equal(error_set_at(&err, EINVAL, "env.quotes", "/etc/x.env", 7, "TOKEN", "a value in quotes"), -EINVAL);
    _cleanup_(cJSON_Deletep) cJSON *o = json_from_error(&err, -EINVAL);
    _cleanup_(freep) char *text = json_print_canonical(o);
    assert_string_equal(text, "{\"file\":\"/etc/x.env\",\"id\":\"env.quotes\",\"key\":\"TOKEN\",\"line\":7,"
                              "\"message\":\"a value in quotes\"}");
    assert_int_equal(json_to_error(o, EPERM, &back), -EPERM);
    assert_string_equal(back.id, "env.quotes");
    assert_string_equal(back.message, "a value in quotes");
    assert_string_equal(back.file, "/etc/x.env");
    assert_string_equal(back.key, "TOKEN");
    assert_int_equal(back.line, 7);
    error_done(&back);
    error_done(&err);

    _cleanup_(cJSON_Deletep) cJSON *none = json_from_error(NULL, -ENOENT);
    assert_string_equal(json_string(none, "id"), "system.error");
    assert_non_null(json_string(none, "message"));
}

static void test_errors_from_a_peer(void **state)
{
    (void) state;
    static const char *const bad[] = { "{}", "{\"id\":7}", "{\"id\":\"\"}", "{\"id\":\"A B\"}", "[]" };

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(cJSON_Deletep) cJSON *o = cJSON_Parse(bad[i]);
        Error err = {};

        assert_int_equal(json_to_error(o, EIO, &err), -EIO);
        assert_string_equal(err.id, "error.unknown");
        assert_string_equal(err.message, "no reason was given");
        error_done(&err);
    }
    for (unsigned i = 0; i < 2000; i++) {
        _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
        _cleanup_(freep) char *id = str_format("peer.error-%u", i);
        Error err = {};

        assert_int_equal(json_add_string(o, "id", id), 0);
        assert_int_equal(json_to_error(o, EIO, &err), -EIO);
        assert_string_equal(err.id, i < 500 ? id : i >= 512 ? "error.unknown" : err.id);
        error_done(&err);
    }
}

static void test_pairs(void **state)
{
    static const struct {
        const char *text, *pairs;
    } made[] = {
        { "{\"site\":\"north\",\"floor\":\"2\"}", "site=north, floor=2" },
        { "{\"n\":1}", "n=-" },
        { "{}", "" },
        { "[1]", "" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(made); i++) {
        _cleanup_(cJSON_Deletep) cJSON *o = NULL;

        assert_int_equal(json_parse(made[i].text, strlen(made[i].text), &o, NULL), 0);
        _cleanup_(freep) char *pairs = json_pairs(o, ", ");
        assert_string_equal(pairs, made[i].pairs);
    }
    _cleanup_(freep) char *none = json_pairs(NULL, ",");
    assert_string_equal(none, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),     cmocka_unit_test(test_f34_limits),
        cmocka_unit_test(test_many_members),    cmocka_unit_test(test_error_names_the_line),
        cmocka_unit_test(test_access),          cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_build_and_print), cmocka_unit_test(test_canonical_at_every_level),
        cmocka_unit_test(test_errors_travel),   cmocka_unit_test(test_errors_from_a_peer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
