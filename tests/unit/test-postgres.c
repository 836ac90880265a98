/* SPDX-License-Identifier: MIT */
/* What is made and read for PostgreSQL without one: schema scripts, and the codes in libpq's messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/strv.h"
#include "lib/postgres/connection.h"
#include "lib/postgres/schema.h"
#include "lib/postgres/sqlstate.h"

static void test_codes(void **state)
{
    static const struct {
        const char *message, *code;
    } cases[] = {
        { "connection to server at \"h\", port 5432 failed: FATAL:  3D000: database \"x\" does not exist\nLOCATION: f",
          "3D000" },
        { "…: ВАЖНО:  57P03: ...", "57P03" },
        { "FATAL:  hello:  28P01: password", "28P01" },
        { "FATAL:  database \"x\" does not exist", NULL },
        { "could not connect:  abcde: no", NULL },
        { "FATAL:  57P0", NULL },
        { "", NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const char *found = sqlstate_find(cases[i].message);
        assert_true((found != NULL) == (cases[i].code != NULL));
        if (found)
            assert_memory_equal(found, cases[i].code, SQLSTATE_SIZE - 1);
    }
}

static void test_codes_of_prepared(void **state)
{
    (void) state;
    assert_true(sqlstate_is_of_prepared("26000") && sqlstate_is_of_prepared("42P05") &&
                sqlstate_is_of_prepared("0A000"));
    assert_false(sqlstate_is_of_prepared("") || sqlstate_is_of_prepared("23505") || sqlstate_is_of_prepared("26001"));
}

static void test_script(void **state)
{
    static const SchemaStep steps[] = { { 1, "CREATE TABLE a();\n" }, { 7, "CREATE TABLE b();\n" }, {} };
    StoreSchema schema = { .program = "tested", .lock = "12", .steps = steps, .statement_max = 90 * USEC_PER_SEC };
    _cleanup_(freep) char *strict = schema_script(&schema);
    const char *a = strstr(strict, "CREATE TABLE a"), *b = strstr(strict, "CREATE TABLE b");

    (void) state;
    assert_true(a && b && a < b);
    assert_non_null(strstr(strict, "knows version 7: install the newer tested"));
    assert_non_null(strstr(strict, "pg_advisory_xact_lock(12)"));
    assert_non_null(strstr(strict, "statement_timeout = '90000ms'"));
    schema.newer_is_fine = true;
    _cleanup_(freep) char *lenient = schema_script(&schema);
    assert_null(strstr(lenient, "install the newer"));
    assert_non_null(strstr(lenient, "CREATE TABLE b"));
}

/* One transaction, one step after the other, whatever the parts are. */
static void test_script_in_parts(void **state)
{
    static char filler[3000];
    SchemaStep steps[8] = {};
    StoreSchema schema = { .program = "tested", .lock = "12", .steps = steps, .statement_max = USEC_PER_SEC };

    (void) state;
    memset(filler, ' ', sizeof(filler) - 1);
    for (unsigned i = 0; i < 7; i++)
        steps[i] = (SchemaStep) { i + 1, filler };
    _cleanup_(strv_freep) char **parts = schema_script_parts(&schema);
    _cleanup_(freep) char *joined = strv_join(parts, ""), *whole = schema_script(&schema);
    size_t n = strv_length(parts);

    assert_string_equal(joined, whole);
    assert_int_equal(n, 4);
    assert_memory_equal(parts[0], "BEGIN;", 6);
    assert_memory_equal(parts[n - 1], "DO $secbox$", 11);
    assert_non_null(strstr(parts[n - 1], "COMMIT;"));
    for (size_t i = 0; i < n; i++) {
        assert_true(strlen(parts[i]) < 10000);
        if (i + 1 < n)
            assert_string_equal(parts[i] + strlen(parts[i]) - 22, "END IF; END $secbox$;\n");
    }
}

static void test_place(void **state)
{
    static const struct {
        const char *conninfo, *place;
    } cases[] = {
        { "postgresql://u:hunter2@h:5433/d?application_name=x", "h:5433/d" },
        { "postgresql://u:a?hunter2@h/d", "h/d" },
        { "postgresql://u:a%2Fhunter2@[::1]/d", "::1/d" },
        { "postgresql://u@/d?host=/run/pg&password=hunter2", "/run/pg/d" },
        { "host=h dbname=d password='hunter2'", "h/d" },
        { "postgresql:///", "/" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *place = store_conninfo_place(cases[i].conninfo);
        assert_non_null(place);
        assert_string_equal(place, cases[i].place);
    }
    assert_null(store_conninfo_place("postgresql://u:%zz@h/d"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),  cmocka_unit_test(test_codes_of_prepared),
        cmocka_unit_test(test_script), cmocka_unit_test(test_script_in_parts),
        cmocka_unit_test(test_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
