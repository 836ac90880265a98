/* SPDX-License-Identifier: MIT */
/* What the box says about plates and names, by the tables that the guards' app is held to as well. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/lan/verdict.h"

#define CASES_MAX ((size_t) 256 * 1024)
#define RECORDS_MAX 8

static cJSON *cases_read(const char *path)
{
    _cleanup_(freep) char *text = NULL;
    Error err = {};
    size_t len = 0;

    if (file_read(path, CASES_MAX, &text, &len, &err) < 0)
        fail_msg("%s (unit tests run in the root of the tree)", err.message);
    cJSON *cases = cJSON_ParseWithLength(text, len);
    assert_non_null(cases);
    return cases;
}

static const char *nth(const cJSON *row, int i)
{
    return cJSON_GetStringValue(cJSON_GetArrayItem(row, i));
}

static void check_folds(const cJSON *rows, char *(*fold)(const char *) )
{
    const cJSON *row;

    assert_true(cJSON_GetArraySize(rows) > 0);
    cJSON_ArrayForEach(row, rows) {
        _cleanup_(freep) char *folded = fold(nth(row, 0));

        assert_non_null(folded);
        if (!str_equal(folded, nth(row, 1)))
            fail_msg("'%s' becomes '%s', not '%s'", nth(row, 0), folded, nth(row, 1));
    }
}

static void check_pairs(const cJSON *rows, char *(*fold)(const char *),
                        MatchKind (*compare)(const char *, const char *))
{
    const cJSON *row;

    assert_true(cJSON_GetArraySize(rows) > 0);
    cJSON_ArrayForEach(row, rows) {
        _cleanup_(freep) char *typed = fold(nth(row, 0)), *known = fold(nth(row, 1));
        const char *kind = match_kind_name(compare(typed, known));

        if (!str_equal(kind, nth(row, 2)))
            fail_msg("'%s' and '%s' are %s, not %s", nth(row, 0), nth(row, 1), kind, nth(row, 2));
    }
}

static void test_match_cases(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *cases = cases_read("tests/cases/match.json");

    (void) state;
    check_folds(cJSON_GetObjectItem(cases, "plateOf"), match_plate);
    check_folds(cJSON_GetObjectItem(cases, "nameOf"), match_name);
    check_pairs(cJSON_GetObjectItem(cases, "plates"), match_plate, match_plates);
    check_pairs(cJSON_GetObjectItem(cases, "names"), match_name, match_names);
}

static void test_bytes_that_are_no_utf8(void **state)
{
    static const char *const texts[] = { "A\x80"
                                         "1",
                                         "A\xc3",
                                         "A\xc3(1",
                                         "\xe2\x82"
                                         "A1",
                                         "A\xff\xfe"
                                         "1",
                                         "A\xc0\x80"
                                         "1",
                                         "\xf4\x90" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(freep) char *plate = match_plate(texts[i]), *name = match_name(texts[i]);

        assert_true(strspn(plate, "A1") == strlen(plate));
        assert_true(strspn(name, "A1 ") == strlen(name));
    }
}

static int64_t seconds(const cJSON *object, const char *key)
{
    return (int64_t) cJSON_GetNumberValue(cJSON_GetObjectItem(object, key));
}

static Record record_of(const cJSON *o)
{
    const char *kind = json_string(o, "kind"), *hours = json_string(o, "hours");
    const cJSON *day;
    Record r = {
        .kind = str_equal(kind, "ban")     ? RECORD_BAN
                : str_equal(kind, "guest") ? RECORD_GUEST
                                           : RECORD_RESIDENT,
        .name = json_string(o, "name"),
        .plate = json_string(o, "plate"),
        .document = json_string(o, "document"),
        .code = json_string(o, "code"),
        .from = cJSON_HasObjectItem(o, "from") ? seconds(o, "from") : 0,
        .until = cJSON_HasObjectItem(o, "until") ? seconds(o, "until") : 0,
        .has_uses = cJSON_HasObjectItem(o, "uses"),
        .has_hours = hours != NULL,
        .unconfirmed = cJSON_IsTrue(cJSON_GetObjectItem(o, "unconfirmed")),
    };

    if (r.has_uses)
        r.uses = (uint64_t) seconds(o, "uses");
    if (cJSON_HasObjectItem(o, "used"))
        r.used = (uint64_t) seconds(o, "used");
    if (hours)
        assert_int_equal(hours_parse(hours, &r.hours_from, &r.hours_until), 0);
    cJSON_ArrayForEach(day, cJSON_GetObjectItem(o, "days")) {
        int weekday = weekday_parse(cJSON_GetStringValue(day));
        assert_in_range(weekday, 0, 6);
        r.days |= 1u << weekday;
    }
    return r;
}

static void check_case(const cJSON *c)
{
    const cJSON *list = cJSON_GetObjectItem(c, "records"), *at = cJSON_GetObjectItem(c, "at"), *o;
    const cJSON *reason = cJSON_GetObjectItem(c, "reason");
    const char *name = json_string(c, "name"), *refusal = json_string(c, "refusal");
    const LocalMoment moment = { seconds(at, "now"), (unsigned) seconds(at, "weekday"),
                                 (unsigned) seconds(at, "minute") };
    Record records[RECORDS_MAX];
    Fit fits[RECORDS_MAX] = {};
    Decision d;
    size_t n = 0;

    cJSON_ArrayForEach(o, list) {
        assert_true(n < RECORDS_MAX);
        records[n++] = record_of(o);
    }
    assert_int_equal(verdict_decide(json_string(c, "typed"), records, n, &moment, fits, &d), 0);
    if (!str_equal(verdict_name(d.verdict), json_string(c, "verdict")) ||
        d.doubt != cJSON_IsTrue(cJSON_GetObjectItem(c, "doubt")))
        fail_msg("%s: %s%s", name, verdict_name(d.verdict), d.doubt ? ", in doubt" : "");
    if (d.reason != (cJSON_IsNumber(reason) ? (size_t) cJSON_GetNumberValue(reason) : SIZE_MAX))
        fail_msg("%s: decided by record %zu", name, d.reason);
    if (refusal && !str_equal(refusal_name(fits[d.reason].refusal), refusal))
        fail_msg("%s: '%s' is why", name, refusal_name(fits[d.reason].refusal));
}

static void test_verdict_cases(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *cases = cases_read("tests/cases/verdict.json");
    const cJSON *c;

    (void) state;
    assert_true(cJSON_GetArraySize(cases) > 40);
    cJSON_ArrayForEach(c, cases) {
        check_case(c);
    }
}

static void test_hours_and_days(void **state)
{
    static const char *const bad[] = { "",
                                       "8:00-18:00",
                                       "08:00-18:0",
                                       "08:00 18:00",
                                       "24:00-06:00",
                                       "08:60-10:00",
                                       "08:00-24:01",
                                       "08:00-25:00",
                                       "0a:00-10:00",
                                       "08.00-10:00",
                                       "08:00-10:000" };
    unsigned from, until;

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_int_equal(hours_parse(bad[i], &from, &until), -EINVAL);
    assert_int_equal(hours_parse("00:00-24:00", &from, &until), 0);
    assert_int_equal(until, MINUTES_PER_DAY);
    assert_int_equal(weekday_parse("sun"), 6);
    assert_int_equal(weekday_parse("Sun"), -EINVAL);
    assert_int_equal(weekday_parse(""), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match_cases),
        cmocka_unit_test(test_bytes_that_are_no_utf8),
        cmocka_unit_test(test_verdict_cases),
        cmocka_unit_test(test_hours_and_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
