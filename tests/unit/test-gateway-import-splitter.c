/* SPDX-License-Identifier: MIT */
/* A file cut into pieces anywhere gives the same parts of whole records. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/communities/import-splitter.h"
#include "lib/base/strv.h"

/* Adds the text in pieces of n bytes, and takes a part after each that has a whole record: "LINE:PART|…", and at last what was
 * left. */
static char *split(const char *text, bool csv, size_t n)
{
    ImportSplitter s = import_splitter_make(csv);
    char *all = strdup("");

    for (size_t at = 0, len = strlen(text); at <= len; at += n) {
        bool over = at + n > len;
        _cleanup_(freep) char *part = NULL, *before = NULL;
        size_t part_len;
        uint64_t line;

        if (at < len)
            assert_int_equal(import_splitter_add(&s, text + at, at + n < len ? n : len - at, NULL), 0);
        if (s.end == 0 && !over)
            continue;
        assert_int_equal(import_splitter_take(&s, over, &part, &part_len, &line), 0);
        assert_int_equal(strlen(part), part_len);
        before = all;
        all = str_format("%s%llu:%s|", before, (unsigned long long) line, part);
    }
    assert_true(import_splitter_is_empty(&s));
    import_splitter_done(&s);
    return all;
}

static void check(const char *text, bool csv, size_t n, const char *wanted)
{
    _cleanup_(freep) char *all = split(text, csv, n);

    assert_string_equal(all, wanted);
}

static void test_lines(void **state)
{
    (void) state;
    check("{}\n{\"a\":1}\n{}", false, 1, "1:{}\n|2:{\"a\":1}\n|3:{}|");
    check("{}\n{\"a\":1}\n{}\n", false, 1000, "1:{}\n{\"a\":1}\n{}\n|");
    check("{}\n{\"a\":\"\\\"\"}\n{}\n", false, 4, "1:{}\n|2:{\"a\":\"\\\"\"}\n|3:{}\n|");
    check("", false, 1, "1:|");
}

static void test_csv(void **state)
{
    (void) state;
    check("id,name\n1,a\n2,b\n", true, 1, "2:id,name\n1,a\n|3:id,name\n2,b\n|4:id,name\n|");
    check("id,name\n1,a\n2,b", true, 100, "2:id,name\n1,a\n2,b|");
    check("id,name\r\n1,\"a\r\nb \"\"c\"\"\"\r\n2,b\r\n", true, 3,
          "2:id,name\r\n1,\"a\r\nb \"\"c\"\"\"\r\n|4:id,name\r\n2,b\r\n|5:id,name\r\n|");
    check("id\r1\r2\r", true, 1, "2:id\r1\r|3:id\r2\r|");
    check("\r\n\n\xef\xbb\xbfid\n1\n", true, 1, "4:\xef\xbb\xbfid\n1\n|5:\xef\xbb\xbfid\n|");
    check("id", true, 1, "1:id|");
    check("id\n", true, 1, "2:id\n|");
}

/* However it is cut, the parts together are the file. */
static void test_any_cut(void **state)
{
    static const char text[] = "a;b\r\n\"x\n\"\"y\";1\r\n\r\n2;3\n\"\r\n\"\"\";4\r5;6\n\n7;\"8\"";
    _cleanup_(freep) char *whole = split(text, true, sizeof(text));

    (void) state;
    for (size_t n = 1; n < sizeof(text); n++) {
        _cleanup_(freep) char *cut = split(text, true, n), *joined = strdup("2:a;b\r\n");
        for (char *p = cut; *p;) {
            char *colon = strchr(p, ':'), *end = strchr(p, '|');
            _cleanup_(freep) char *before = joined;

            assert_memory_equal(colon + 1, "a;b\r\n", 5);
            joined = str_format("%s%.*s", before, (int) (end - colon - 6), colon + 6);
            p = end + 1;
        }
        assert_memory_equal(joined, whole, strlen(joined));
    }
}

static void test_bounds(void **state)
{
    ImportSplitter s = import_splitter_make(true);
    _cleanup_(error_done) Error err = {};
    char piece[1024];
    int r = 0;
    unsigned n = 0;

    (void) state;
    memset(piece, 'x', sizeof(piece));
    assert_int_equal(import_splitter_add(&s, "id\n1\n\"", 6, NULL), 0);
    assert_false(import_splitter_is_full(&s));
    for (; r == 0 && n < 3000; n++) {
        piece[0] = '\n';
        r = import_splitter_add(&s, piece, sizeof(piece), &err);
    }
    assert_int_equal(r, -EMSGSIZE);
    assert_in_range(n, 1000, 1100);
    assert_string_equal(error_id(&err), "import.record-too-large");
    assert_int_equal(err.line, 3);
    import_splitter_done(&s);

    s = import_splitter_make(false);
    for (n = 0; !import_splitter_is_full(&s); n++)
        assert_int_equal(import_splitter_add(&s, piece, sizeof(piece), NULL), 0);
    assert_in_range(n, 512, 514);
    import_splitter_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
