/* SPDX-License-Identifier: MIT */
/* Env files as people write them: what docker compose reads, with the same values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "env/dotenv.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"

#define KEY_50 "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWX"

static void test_values(void **state)
{
    static const struct {
        const char *line, *key, *value;
    } cases[] = {
        { "A=1", "A", "1" },
        { "A=", "A", "" },
        { "A", NULL, NULL },
        { "export A=1", "A", "1" },
        { "export\tA = 1", "A", "1" },
        { "  A = 1  ", "A", "1" },
        { "A=1\r", "A", "1" },
        { "A='single $x \\n \"'", "A", "single $x \\n \"" },
        { "A=\"double $x \\n\\t\\\"\\\\ '\"", "A", "double $x \n\t\"\\ '" },
        { "A=\"\\$x \\d\"", "A", "$x \\d" },
        { "A=\"\"", "A", "" },
        { "A=\"1\" # why", "A", "1" },
        { "A='1'#why", "A", "1" },
        { "A=1 # why", "A", "1" },
        { "A=1\t# why", "A", "1" },
        { "A=1#2", "A", "1#2" },
        { "A=#1", "A", "#1" },
        { "A= # why", "A", "" },
        { "A=two words", "A", "two words" },
        { "A=it's", "A", "it's" },
        { "A=C:\\dir", "A", "C:\\dir" },
        { "A=pa$word", "A", "pa$word" },
        { "A=a=b=c", "A", "a=b=c" },
        { "discovery.type=single-node", "discovery.type", "single-node" },
        { "a-b=1", "a-b", "1" },
        { KEY_50 KEY_50 "=1", KEY_50 KEY_50, "1" },
        { "A='first\nsecond'", "A", "first\nsecond" },
        { "COMPOSE_PROJECT_NAME=immich", "COMPOSE_PROJECT_NAME", "immich" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(env_freep) EnvFile *e = NULL;
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *text = str_format("# first\n\n%s\nLAST=9\n", cases[i].line);
        int r = dotenv_parse(text, strlen(text), "a.env", &e, &err);

        if (!cases[i].key) {
            assert_string_equal(err.id, "env.syntax");
            continue;
        }
        if (r < 0)
            fail_msg("%s: %s", cases[i].line, error_message(&err, r));
        assert_int_equal(env_size(e), 2);
        assert_string_equal(env_key_at(e, 0), cases[i].key);
        assert_string_equal(env_value_at(e, 0), cases[i].value);
        assert_int_equal(env_line_at(e, 0), 3);
        assert_int_equal(env_line_at(e, 1), strchr(cases[i].line, '\n') ? 5 : 4);
    }
}

static void test_f04_refused(void **state)
{
    static const struct {
        const char *text, *id;
        unsigned line;
        const char *key;
    } cases[] = {
        { "A=1\nB\n", "env.syntax", 2, NULL },
        { "=1\n", "env.syntax", 1, NULL },
        { "A B=1\n", "env.syntax", 1, NULL },
        { "A: 1\n", "env.syntax", 1, NULL },
        { "1A=1\n", "env.syntax", 1, NULL },
        { "-A=1\n", "env.syntax", 1, NULL },
        { "export=1=2\nexport\n", "env.syntax", 2, NULL },
        { "A=1\n\nB='secret\nC=2\n", "env.syntax", 3, "B" },
        { "A=\"secret\\\"\n", "env.syntax", 1, "A" },
        { "A='x' y\n", "env.syntax", 1, "A" },
        { "A=1\nA=2\n", "env.duplicate-key", 2, "A" },
        { "A=x\x01\n", "env.control-character", 1, "A" },
        { "A=x\ty\n", "env.control-character", 1, "A" },
        { "A='x\xe2\x80\xa8'\n", "env.control-character", 1, "A" },
        { "A=\xff\n", "env.not-utf8", 1, NULL },
        { "A=1\n\nB=caf\xe9\nC=1\n", "env.not-utf8", 3, NULL },
        { KEY_50 KEY_50 KEY_50 KEY_50 KEY_50 KEY_50 "=1\n", "env.syntax", 1, NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        EnvFile *e = NULL;
        int r = dotenv_parse(cases[i].text, strlen(cases[i].text), "a.env", &e, &err);

        bool has_tab = strchr(cases[i].text, '\t');

        if (has_tab && r < 0 && !strstr(err.message, "put the value into quotes"))
            fail_msg("%s: %s", cases[i].text, err.message);
        if (r >= 0 || !str_equal(err.id, cases[i].id) || err.line != cases[i].line || !str_equal(err.key, cases[i].key))
            fail_msg("%s: %d %s line %u %s", cases[i].text, r, error_id(&err), err.line, error_message(&err, r));
        assert_null(e);
        assert_null(strstr(err.message, "secret"));
    }
}

static void test_f04_marks_of_editors(void **state)
{
    static const char text[] = "\xEF\xBB\xBF"
                               "A=1\r\nB='2'\r\n\r\n# c\r\nC=3";
    _cleanup_(env_freep) EnvFile *e = NULL;

    (void) state;
    assert_int_equal(dotenv_parse(text, strlen(text), "a.env", &e, NULL), 0);
    assert_string_equal(env_get(e, "A"), "1");
    assert_string_equal(env_get(e, "B"), "2");
    assert_string_equal(env_get(e, "C"), "3");
}

/* Everything that the strict dialect accepts means the same here: boxes in the field have such files. */
static void test_strict_lines_mean_the_same(void **state)
{
    static const char text[] =
        "# c\n\nA=1\nB=two words\nC=#abc\nD=pa$word ${x}y\nE=a\"b\"c\nF=a=b\n_G9=caf\xC3\xA9\nH=\n"
        "I=x#y\nJ=*\nK=a'b\n";
    _cleanup_(env_freep) EnvFile *strict = NULL, *e = NULL;

    (void) state;
    assert_int_equal(env_parse(text, strlen(text), "a.env", &strict, NULL), 0);
    assert_int_equal(dotenv_parse(text, strlen(text), "a.env", &e, NULL), 0);
    assert_int_equal(env_size(e), env_size(strict));
    for (size_t i = 0; i < env_size(e); i++) {
        assert_string_equal(env_key_at(e, i), env_key_at(strict, i));
        assert_string_equal(env_value_at(e, i), env_value_at(strict, i));
        assert_int_equal(env_line_at(e, i), env_line_at(strict, i));
    }
}

static void test_print_reads_back(void **state)
{
    static const char text[] = "A=\"a\\nb\\r\\t\\\"\\\\\\$x\"\nB='it is # \\n'\nC=\nD=plain\n";
    _cleanup_(env_freep) EnvFile *e = NULL, *again = NULL;
    _cleanup_(secret_freep) char *printed = NULL;

    (void) state;
    assert_int_equal(dotenv_parse(text, strlen(text), "a.env", &e, NULL), 0);
    printed = dotenv_print(e);
    assert_non_null(printed);
    assert_int_equal(dotenv_parse(printed, strlen(printed), "b.env", &again, NULL), 0);
    assert_int_equal(env_size(again), env_size(e));
    for (size_t i = 0; i < env_size(e); i++)
        assert_string_equal(env_value_at(again, i), env_value_at(e, i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_f04_refused),
        cmocka_unit_test(test_f04_marks_of_editors),
        cmocka_unit_test(test_strict_lines_mean_the_same),
        cmocka_unit_test(test_print_reads_back),
    };

    return cmocka_run_group_tests_name("dotenv", tests, NULL, NULL);
}
