/* SPDX-License-Identifier: MIT */
/* The file that systemd reads for the gateway, read as systemd does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gateway-env.h"
#include "lib/base/strv.h"

static void test_values(void **state)
{
    static const struct {
        const char *text, *value; /* NULL: it is not there */
    } cases[] = {
        { "K=host=/run/postgresql dbname=secbox\n", "host=/run/postgresql dbname=secbox" },
        { "K='host=/run dbname=secbox'", "host=/run dbname=secbox" },
        { "K=\"host=/run password='a b'\"\n", "host=/run password='a b'" },
        { "K=\"a \\\"b\\\" \\\\ \\n\"\n", "a \"b\" \\ \\n" },
        { "K='a\\b'\n", "a\\b" },
        { "K=a\\ b\n", "a b" },
        { "  K =x\n", "x" },
        { "  K= x \t\r\n", "x" },
        { "#K=x\n;K=y\n", NULL },
        { "# K=x\nOTHER=1\nK=z\n", "z" },
        { "K=1\nK=2\n", "2" },
        { "KK=1\nXK=2\n", NULL },
        { "K=\n", "" },
        { "", NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *value = NULL;
        int r = gateway_env_find(cases[i].text, "f", "K", &value, &err);

        if (r < 0 || !str_equal(value, cases[i].value))
            fail_msg("%s: %s", cases[i].text, r < 0 ? error_message(&err, r) : value ? value : "nothing");
    }
}

static void test_what_people_and_systemd_read_differently(void **state)
{
    static const char *const texts[] = { "A=1\nK='open\n", "A=1\nK=\"open\\\"\n", "A=1\nK=goes on \\\nhere\n" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(error_done) Error err = {};
        char *value = NULL;

        assert_int_equal(gateway_env_find(texts[i], "f", "K", &value, &err), -EINVAL);
        assert_string_equal(error_id(&err), "config.env-file");
        assert_int_equal(err.line, 2);
        assert_null(strstr(error_message(&err, -EINVAL), "open"));
    }
}

/* systemd.service(5), "Command lines": `$VARIABLE` as a word of its own. */
static void test_words(void **state)
{
    static const struct {
        const char *value, *words; /* joined by | */
    } cases[] = {
        { "", NULL },
        { " \t\n", NULL },
        { " --cert  /a\t--key\n/b ", "--cert|/a|--key|/b" },
        { "--database \"host=/run user='a b'\"", "--database|host=/run user='a b'" },
        { "--database='host=/run dbname=secbox' --key=/b", "--database=host=/run dbname=secbox|--key=/b" },
        { "a'' '' \"\"", "a||" },
        { "a\\ b \\\"c 'd\\'e'", "a b|\"c|d'e" },
        { "a 'b c", "a|b c" },
        { "a b\\", "a|b" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(strv_freep) char **words = NULL;

        assert_int_equal(gateway_env_split(cases[i].value, &words), 0);
        _cleanup_(freep) char *joined = words ? strv_join(words, "|") : NULL;
        if (!str_equal(joined, cases[i].words))
            fail_msg("%s: %s", cases[i].value, joined ? joined : "nothing");
    }
}

static void test_files(void **state)
{
    _cleanup_(freep) char *value = NULL;
    _cleanup_(error_done) Error err = {};

    (void) state;
    /* who names a file means that one */
    assert_int_equal(gateway_env_load("/nowhere/gateway.env", "K", &value, &err), -ENOENT);
    assert_null(value);
    assert_string_equal(error_id(&err), "config.env-file");
    assert_string_equal(err.file, "/nowhere/gateway.env");
    assert_int_equal(gateway_env_load("/dev", "K", &value, NULL) < 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_people_and_systemd_read_differently),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
