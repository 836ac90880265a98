/* SPDX-License-Identifier: MIT */
/* Differences between objects: what is said to somebody who knows the one makes the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/data/json-merge.h"

static cJSON *parse(const char *text)
{
    cJSON *o = NULL;

    assert_int_equal(json_parse_object(text, strlen(text), &o, NULL), 0);
    return o;
}

static void check(const char *from, const char *to, const char *patch)
{
    _cleanup_(cJSON_Deletep) cJSON *a = parse(from), *b = parse(to), *difference = json_merge_diff(a, b);
    _cleanup_(freep) char *text = json_print_canonical(difference);

    assert_string_equal(text, patch);
    assert_int_equal(json_merge_apply(a, difference), 0);
    assert_true(cJSON_Compare(a, b, true));
}

static void test_differences(void **state)
{
    (void) state;
    check("{}", "{}", "{}");
    check("{\"a\":1}", "{\"a\":1}", "{}");
    check("{\"a\":1}", "{\"a\":2}", "{\"a\":2}");
    check("{\"a\":1,\"b\":2}", "{\"b\":2}", "{\"a\":null}");
    check("{}", "{\"a\":{\"b\":{}}}", "{\"a\":{\"b\":{}}}");
    check("{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"c\":3}}", "{\"a\":{\"c\":3}}");
    check("{\"a\":{\"b\":1}}", "{\"a\":{\"c\":1}}", "{\"a\":{\"b\":null,\"c\":1}}");
    check("{\"a\":{\"b\":1}}", "{\"a\":[1]}", "{\"a\":[1]}");
    check("{\"a\":[1,2]}", "{\"a\":[2,1]}", "{\"a\":[2,1]}");
    check("{\"a\":\"x\"}", "{\"a\":{\"b\":true}}", "{\"a\":{\"b\":true}}");
    check("{\"A\":1}", "{\"a\":1}", "{\"A\":null,\"a\":1}");
}

/* The examples of RFC 7396, appendix A, whose target and patch are objects. */
static void test_rfc_7396(void **state)
{
    static const struct {
        const char *target, *patch, *result;
    } cases[] = {
        { "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
        { "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
        { "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
        { "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
        { "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
        { "{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}" },
        { "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(cJSON_Deletep) cJSON *target = parse(cases[i].target), *patch = parse(cases[i].patch);

        assert_int_equal(json_merge_apply(target, patch), 0);
        _cleanup_(freep) char *text = json_print_canonical(target);
        assert_string_equal(text, cases[i].result);
    }
}

/* A null in the new values is no value: it never stays in a copy. */
static void test_nulls_are_absent(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *a = parse("{\"b\":{\"c\":1}}"),
                                   *b = parse("{\"a\":null,\"b\":{\"c\":null,\"d\":{\"e\":null}}}");
    _cleanup_(cJSON_Deletep) cJSON *patch = json_merge_diff(a, b);

    (void) state;
    assert_int_equal(json_merge_apply(a, patch), 0);
    _cleanup_(freep) char *text = json_print_canonical(a);
    assert_string_equal(text, "{\"b\":{\"d\":{}}}");
}

static void test_nested_values_count(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {
        { "{}", 0 },
        { "{\"a\":1}", 1 },
        { "{\"a\":{\"b\":{\"c\":null}},\"d\":\"x\"}", 4 },
        { "{\"a\":[1,{\"b\":2},[]]}", 5 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(cJSON_Deletep) cJSON *o = parse(cases[i].text);

        assert_int_equal(json_count(o), cases[i].n);
    }
    assert_int_equal(json_count(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_rfc_7396),
        cmocka_unit_test(test_nulls_are_absent),
        cmocka_unit_test(test_nested_values_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
