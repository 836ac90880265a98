/* SPDX-License-Identifier: MIT */
/* Tables and text for terminals: alignment, and that nothing steers the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lib/cli/table.h"
#include "lib/base/text.h"

static void test_printable(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { NULL, "" },
        { "", "" },
        { "plain", "plain" },
        { "two\nlines\tand tab\n", "two lines and tab" },
        { "\033[31mred\033[0m", "?[31mred?[0m" },
        { "bell\a back\b del\x7f cr\r", "bell? back? del? cr?" },
        { "caseta \xc3\xa1rbol", "caseta \xc3\xa1rbol" },
        { "c1 \xc2\x9b"
          "31m",
          "c1 ?31m" },
        { "bidi \xe2\x80\xae"
          "gpj.exe \xe2\x81\xa6x",
          "bidi ?gpj.exe ?x" },
        { "unseen \xe2\x80\x8b\xd8\x9c\xef\xbb\xbf"
          "x",
          "unseen ???x" },
        { "dots \xe2\x80\xa6", "dots \xe2\x80\xa6" },
        { "latin1 \xe1rbol \xff", "latin1 ?rbol ?" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *out = text_printable(cases[i].in);
        assert_string_equal(out, cases[i].out);
        assert_int_equal(text_is_plain(cases[i].in ? cases[i].in : ""),
                         strcmp(out, cases[i].in ? cases[i].in : "") == 0);
    }
}

static void test_shell_words(void **state)
{
    static const char *const good[] = { "/etc/containers/storage.conf", "/home/a_b/x@1+2.conf", "ssh.service", "a" };
    static const char bad[] = " \t\n\r'\"`$&|;<>(){}[]*?!~#^=%,:\\\x01\x7f\xc3";

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_true(text_is_shell_word(good[i]));
    assert_false(text_is_shell_word(""));
    assert_false(text_is_shell_word("-rf"));
    for (const char *c = bad; *c; c++) {
        char path[] = { '/', 'a', *c, 'b', '\0' };
        assert_false(text_is_shell_word(path));
    }
}

static void test_escapes(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "plain \ttext", "plain \ttext" },
        { "\033[31mred\033[0m", "red" },
        { "\033[1;38;5;208mbold\033[K.", "bold." },
        { "\033]0;a title\aafter", "after" },
        { "\033]8;;http://x\033\\link\033]8;;\033\\", "link" },
        { "\033(Bascii\033=\033M", "ascii" },
        { "end\r\r", "end" },
        { "\r", "" },
        { "cut \033[12", "cut " },
        { "cut \033]0;no end", "cut " },
        { "cut \033", "cut " },
        { "\033[31\xc3\xa9", "\xc3\xa9" },
        { "\033\033[1mtwice", "twice" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *text = strdup(cases[i].in);

        assert_non_null(text);
        text_drop_escapes(text);
        assert_string_equal(text, cases[i].out);
    }
}

/* JSON for a terminal means the same as before and holds nothing that a terminal acts on. */
static void test_json_for_terminals(void **state)
{
    _cleanup_(freep) char *out = text_escape_json("{\"a\": \"\xc2\x9b"
                                                  "31m \x7f \xe2\x80\xae \xef\xbb\xbf \xd8\x9c \xc3\xa1\"}");

    (void) state;
    assert_string_equal(out, "{\"a\": \"\\u009b31m \\u007f \\u202e \\ufeff \\u061c \xc3\xa1\"}");
    assert_null(text_escape_json("\xff"));
}

static void test_finding(void **state)
{
    static const struct {
        const char *file;
        unsigned line;
        const char *message, *id, *key, *out;
    } cases[] = {
        { "a.yml", 3, "bad", "compose.x", "services.a", "a.yml:3: bad [compose.x] (services.a)" },
        { "a.yml", 0, "bad", "compose.x", NULL, "a.yml: bad [compose.x]" },
        { NULL, 3, "bad", NULL, NULL, "bad" },
        { NULL, 0, NULL, "x.y", "k", " [x.y] (k)" },
        { "a\033.yml", 1, "b\nc", "x", NULL, "a?.yml:1: b c [x]" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *out =
            text_finding(cases[i].file, cases[i].line, cases[i].message, cases[i].id, cases[i].key);
        assert_string_equal(out, cases[i].out);
    }
}

static void test_error_text(void **state)
{
    _cleanup_(error_done) Error err = {};

    (void) state;
    assert_int_equal(error_set_at(&err, EINVAL, "env.syntax", "x.env", 7, "KEY", "no '=' in this line"), -EINVAL);
    _cleanup_(freep) char *text = text_error(&err, -EINVAL);
    assert_string_equal(text, "x.env:7: no '=' in this line [env.syntax] (KEY)");
}

static void test_table_aligns(void **state)
{
    static const char *const headers[] = { "NAME", "STATE", "IMAGE", NULL };

    (void) state;
    _cleanup_(table_freep) Table *t = table_new(headers);
    assert_non_null(t);
    assert_int_equal(table_rows(t), 0);
    assert_int_equal(table_row(t, "secbox", "running", "localhost/secbox:1"), 0);
    assert_int_equal(table_row(t, "\xc3\xa1\xc3\xa9", NULL, ""), 0);
    assert_int_equal(table_row(t, "relay-client", "exited\n", "x\033y"), 0);
    assert_int_equal(table_rows(t), 3);

    _cleanup_(freep) char *text = table_print(t, 2);
    assert_string_equal(text, "  NAME          STATE    IMAGE\n"
                              "  secbox        running  localhost/secbox:1\n"
                              "  \xc3\xa1\xc3\xa9            -        -\n"
                              "  relay-client  exited   x?y\n");
}

static void test_table_grows(void **state)
{
    static const char *const headers[] = { "N", NULL };

    (void) state;
    _cleanup_(table_freep) Table *t = table_new(headers);
    static const char *const row[] = { "x" };
    for (int i = 0; i < 1000; i++)
        assert_int_equal(table_add(t, row), 0);
    assert_int_equal(table_rows(t), 1000);
    _cleanup_(freep) char *text = table_print(t, 0);
    assert_int_equal(text_width(text), 2002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),      cmocka_unit_test(test_printable),
        cmocka_unit_test(test_shell_words),  cmocka_unit_test(test_json_for_terminals),
        cmocka_unit_test(test_finding),      cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_table_aligns), cmocka_unit_test(test_table_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
