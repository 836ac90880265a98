/* SPDX-License-Identifier: MIT */
/* Records and fields of CSV files, and what rows become of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/communities/csv.h"
#include "gateway/communities/import-lines.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define COMMUNITY "6f1c2a52-0d7e-4b5e-9a43-0c8e2f3b7d10"
#define OTHER "00000000-0d7e-4b5e-9a43-0c8e2f3b7d10"

/* "LINE:[a][b]" for each record, "LINE!id" for each error. */
static char *read_bytes(const char *text, size_t len)
{
    _cleanup_(freep) char *copy = calloc(1, len + 1);
    Buf out = BUF_INIT(4096);
    CsvReader csv;
    assert_non_null(copy);
    memcpy(copy, text, len);
    csv_start(&csv, copy, len);
    assert_int_equal(buf_puts(&out, ""), 0);
    for (;;) {
        Error err = {};
        int r = csv_next(&csv, &err);
        if (r == 0)
            return buf_take(&out);
        if (r < 0)
            assert_int_equal(buf_printf(&out, "%u!%s ", err.line, err.id), 0);
        else
            assert_int_equal(buf_printf(&out, "%u:", csv.record_line), 0);
        for (size_t i = 0; r > 0 && i < csv.n_fields; i++)
            assert_int_equal(buf_printf(&out, "[%s]%s", csv.fields[i], i + 1 == csv.n_fields ? " " : ""), 0);
        error_done(&err);
    }
}

static char *read_all(const char *text)
{
    return read_bytes(text, strlen(text));
}

static void test_records(void **state)
{
    static const struct {
        const char *text, *records;
    } cases[] = {
        { "", "" },
        { "\n\r\n", "" },
        { "a", "1:[a] " },
        { "a,b\r\n1,2\r\n", "1:[a][b] 2:[1][2] " },
        { "a;b,c\n1;2", "1:[a][b,c] 2:[1][2] " },
        { "a,b;c\n", "1:[a][b;c] " },
        { "\xef\xbb\xbf"
          "a\n",
          "1:[a] " },
        { "a,b\n,\n\n x , \n", "1:[a][b] 2:[][] 4:[ x ][ ] " },
        { "\"a,\"\"b\"\"\",c\n\"1\n2\",3\n4,5\n", "1:[a,\"b\"][c] 2:[1\n2][3] 4:[4][5] " },
        { "\"\",\"\"\n", "1:[][] " },
        { "a\n\"b\"c,d\ne\n", "1:[a] 2!csv.quote 3:[e] " },
        { "a\nb\"c\ne\n", "1:[a] 2!csv.quote 3:[e] " },
        { "a\n\"b\n", "1:[a] 3!csv.quote " },
        /* the line ends of old spreadsheets count, too: two rows of one line would be one row */
        { "a,b\r1,2\r3,4\r", "1:[a][b] 2:[1][2] 3:[3][4] " },
        { "a\r\rb\r\n\rc", "1:[a] 3:[b] 5:[c] " },
        { "a\r\"1\r2\"\r\"3\r\n4\"\r5", "1:[a] 2:[1\r2] 4:[3\r\n4] 6:[5] " },
        { "a\r\"b\"c\re\r", "1:[a] 2!csv.quote 3:[e] " },
    };
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *records = read_all(cases[i].text);
        assert_string_equal(records, cases[i].records);
    }
}

/* a text would end there, and what stands behind it would be lost without a word */
static void test_nul_bytes(void **state)
{
    static const char plain[] = "a\nb\0c\nd\n", quoted[] = "a\n\"b\0c\"\nd\n";
    (void) state;
    _cleanup_(freep) char *in_plain = read_bytes(plain, sizeof(plain) - 1);
    _cleanup_(freep) char *in_quotes = read_bytes(quoted, sizeof(quoted) - 1);
    assert_string_equal(in_plain, "1:[a] 2!csv.nul 3:[d] ");
    assert_string_equal(in_quotes, "1:[a] 2!csv.nul 3:[d] ");
}

static void test_too_many_fields(void **state)
{
    char text[CSV_FIELDS_MAX + 8];
    (void) state;
    memset(text, ',', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    _cleanup_(freep) char *records = read_all(text);
    assert_string_equal(records, "1!csv.fields ");
}

static char *rows_for(const char *community, const char *file, uint64_t line, unsigned *ret_errors)
{
    _cleanup_(freep) char *copy = strdup(file);
    ImportLines l = { .kind = ROW_UNITS, .line = line };
    memcpy(l.community, community, UUID_SIZE);
    assert_int_equal(import_lines_csv(&l, copy, strlen(copy), NULL), 0);
    *ret_errors = l.n_errors;
    char *text = json_print(l.rows);
    import_lines_done(&l);
    return text;
}

static char *rows_of(const char *file, uint64_t line, unsigned *ret_errors)
{
    return rows_for(COMMUNITY, file, line, ret_errors);
}

static void test_rows(void **state)
{
    unsigned errors;
    (void) state;
    _cleanup_(freep) char *whole = rows_of("name,street\n1,\n,x\n2,y\n", 0, &errors);
    _cleanup_(freep) char *part = rows_of("street;name\ny;2\n", 4, &errors);
    assert_int_equal(errors, 0);
    assert_non_null(strstr(whole, "{\"line\":3}"));
    const char *id = strstr(whole, "{\"line\":4,");
    assert_non_null(id);
    /* the same content has the same id, whatever the order of its members and the part of the file */
    assert_int_equal(strncmp(id, part + 1, strlen("{\"line\":4,\"id\":\"") + UUID_SIZE - 1), 0);
}

/* where the id begins that was made for the one row of a file */
static const char *made_id(const char *rows)
{
    const char *id = strstr(rows, "\"id\":\"");
    assert_non_null(id);
    return id + strlen("\"id\":\"");
}

/* two communities may have a unit 1 each */
static void test_ids_are_of_one_community(void **state)
{
    unsigned errors;
    (void) state;
    _cleanup_(freep) char *one = rows_for(COMMUNITY, "name\n1\n", 0, &errors);
    _cleanup_(freep) char *other = rows_for(OTHER, "name\n1\n", 0, &errors);
    assert_int_not_equal(strncmp(made_id(one), made_id(other), UUID_SIZE - 1), 0);
    assert_int_equal(made_id(one)[UUID_VERSION_AT], '8');
}

static void test_names(void **state)
{
    static const char *const bad[] = { "", "a,,b\n1,2,3\n", "a,a\n" };
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(freep) char *copy = strdup(bad[i]);
        ImportLines l = { .kind = ROW_UNITS, .community = COMMUNITY };
        assert_int_equal(import_lines_csv(&l, copy, strlen(copy), NULL), -EBADMSG);
        import_lines_done(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_too_many_fields),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_ids_are_of_one_community),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
