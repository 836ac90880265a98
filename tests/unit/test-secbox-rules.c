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
#include "secbox/lan/pass-check.h"
#include "secbox/lan/record.h"

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

static int64_t number(const cJSON *object, const char *key)
{
    return (int64_t) cJSON_GetNumberValue(cJSON_GetObjectItem(object, key));
}

static Record record_of(const cJSON *o)
{
    const char *kind = json_string(o, "kind");
    Record r = record_from(str_equal(kind, "ban")     ? RECORD_BAN
                           : str_equal(kind, "guest") ? RECORD_GUEST
                                                      : RECORD_RESIDENT,
                           o);

    /* what the box adds to a row */
    r.unconfirmed = cJSON_IsTrue(cJSON_GetObjectItem(o, "unconfirmed"));
    if (cJSON_HasObjectItem(o, "used"))
        r.used = (uint64_t) number(o, "used");
    return r;
}

static void check_case(const cJSON *c)
{
    const cJSON *list = cJSON_GetObjectItem(c, "records"), *at = cJSON_GetObjectItem(c, "at"), *o;
    const cJSON *reason = cJSON_GetObjectItem(c, "reason");
    const char *name = json_string(c, "name"), *refusal = json_string(c, "refusal");
    const LocalMoment moment = { number(at, "now"), (unsigned) number(at, "weekday"), (unsigned) number(at, "minute") };
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

static bool has_text(const cJSON *list, const char *text)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list) {
        if (str_equal(cJSON_GetStringValue(item), text))
            return true;
    }
    return false;
}

/* What the box tells of the guest whom a pass names. */
static Verdict judge_guest(const cJSON *c, const cJSON *guest)
{
    const cJSON *at = cJSON_GetObjectItem(c, "at"), *ban;
    const LocalMoment moment = { number(at, "now"), (unsigned) number(at, "weekday"), (unsigned) number(at, "minute") };
    Record records[RECORDS_MAX] = { record_from(RECORD_GUEST, guest) };
    Fit fits[RECORDS_MAX] = {};
    Decision d;
    size_t n = 1;

    if (cJSON_HasObjectItem(guest, "used"))
        records[0].used = (uint64_t) number(guest, "used");
    cJSON_ArrayForEach(ban, cJSON_GetObjectItem(c, "bans")) {
        assert_true(n < RECORDS_MAX);
        records[n++] = record_from(RECORD_BAN, ban);
    }
    assert_int_equal(verdict_decide(json_string(guest, "name"), records, n, &moment, fits, &d), 0);
    return d.verdict;
}

static void check_pass_case(const cJSON *c)
{
    const cJSON *jwk = cJSON_GetObjectItem(c, "key"), *guest = cJSON_GetObjectItem(c, "guest");
    _cleanup_(freep) char *key_text = cJSON_IsObject(jwk) ? json_print(jwk) : NULL;
    _cleanup_(key_freep) Key *key = NULL;
    Verdict v = VERDICT_UNKNOWN;
    Pass pass;

    if (key_text)
        assert_int_equal(key_from_jwk(key_text, strlen(key_text), &key, NULL), 0);
    PassFault f = pass_check(key, json_string(c, "community"), number(cJSON_GetObjectItem(c, "at"), "now"),
                             json_string(c, "pass"), &pass);
    if (pass_names_guest(f)) {
        bool known = str_equal(json_string(guest, "id"), pass.guest);
        f = pass_check_guest(f, known, has_text(cJSON_GetObjectItem(c, "used"), pass.id));
        if (known)
            v = judge_guest(c, guest);
    }
    v = pass_verdict(f, v);
    if (!str_equal(verdict_name(v), json_string(c, "verdict")) ||
        !str_equal(pass_fault_name(f), json_string(c, "refusal")))
        fail_msg("%s: %s, '%s'", json_string(c, "name"), verdict_name(v), pass_fault_name(f));
}

static void test_pass_cases(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *cases = cases_read("tests/cases/pass.json");
    const cJSON *c;

    (void) state;
    assert_true(cJSON_GetArraySize(cases) > 30);
    cJSON_ArrayForEach(c, cases) {
        check_pass_case(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match_cases),
        cmocka_unit_test(test_bytes_that_are_no_utf8),
        cmocka_unit_test(test_verdict_cases),
        cmocka_unit_test(test_pass_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
