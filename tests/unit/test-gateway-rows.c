/* SPDX-License-Identifier: MIT */
/* What a row of community data has to look like, and what is kept of a PIN. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/communities/row-check.h"
#include "lib/base/strv.h"
#include "lib/data/digest-pin.h"
#include "lib/data/json.h"

#define COMMUNITY "6f1c2a52-0d7e-4b5e-9a43-0c8e2f3b7d10"
#define ID "11111111-2222-3333-4444-555555555555"
#define GUEST "\"unit\": \"" ID "\", \"from\": \"2026-01-02T03:04:05Z\", \"until\": \"2026-02-28T23:59:59.5-05:00\""

typedef struct Case {
    RowKind kind;
    const char *row;
    const char *error, *key; /* NULL: it is good, and `kept` comes of it */
    const char *kept;
} Case;

static const Case cases[] = {
    { ROW_COMMUNITIES, "{\"name\": \"Los Pinos\", \"timeZone\": null}", NULL, NULL, "{\"name\":\"Los Pinos\"}" },
    { ROW_UNITS, "{\"name\": \"12-B\", \"colour\": [1, 2.5]}", NULL, NULL,
      "{\"colour\":[1,2.5],\"community\":\"" COMMUNITY "\",\"name\":\"12-B\"}" },
    { ROW_UNITS, "{\"id\": \"" ID "\", \"version\": \"7\", \"name\": \"1\"}", NULL, NULL,
      "{\"community\":\"" COMMUNITY "\",\"name\":\"1\"}" },
    { ROW_UNITS, "{\"id\": \"" COMMUNITY "\", \"name\": \"1\"}", "row.other-id", "id", NULL },
    { ROW_UNITS, "{\"community\": \"" ID "\", \"name\": \"1\"}", "row.other-community", "community", NULL },
    { ROW_UNITS, "{\"name\": null}", "row.missing", "name", NULL },
    { ROW_UNITS, "{\"name\": \"a\\u0007\"}", "row.bad-text", "name", NULL },
    { ROW_UNITS, "{\"name\": 12}", "row.bad-text", "name", NULL },
    { ROW_UNITS, "{\"name\": \"1\", \"notes\": \"one\\ntwo\"}", NULL, NULL,
      "{\"community\":\"" COMMUNITY "\",\"name\":\"1\",\"notes\":\"one\\ntwo\"}" },
    { ROW_USERS, "{\"name\": \"Ana\", \"role\": \"gardener\"}", NULL, NULL,
      "{\"community\":\"" COMMUNITY "\",\"name\":\"Ana\",\"role\":\"gardener\"}" },
    { ROW_USERS, "{\"name\": \"Ana\", \"role\": \"guard\", \"pinHash\": \"x\"}", "row.pin-hash", "pinHash", NULL },
    { ROW_USERS, "{\"name\": \"Ana\", \"role\": \"guard\", \"unit\": \"12-B\"}", "row.bad-id", "unit", NULL },
    { ROW_GUESTS, "{" GUEST ", \"days\": [\"mon\", \"sun\"], \"hours\": \"08:00-24:00\", \"uses\": 1}", NULL, NULL,
      "{\"community\":\"" COMMUNITY "\",\"days\":[\"mon\",\"sun\"],\"from\":\"2026-01-02T03:04:05Z\","
      "\"hours\":\"08:00-24:00\",\"unit\":\"" ID "\",\"until\":\"2026-02-28T23:59:59.5-05:00\",\"uses\":1}" },
    { ROW_GUESTS, "{" GUEST ", \"days\": [\"mon\", \"mon\"]}", "row.bad-days", "days", NULL },
    { ROW_GUESTS, "{" GUEST ", \"days\": []}", "row.bad-days", "days", NULL },
    { ROW_GUESTS, "{" GUEST ", \"hours\": \"8-18\"}", "row.bad-hours", "hours", NULL },
    { ROW_GUESTS, "{" GUEST ", \"uses\": 1.5}", "row.bad-number", "uses", NULL },
    { ROW_GUESTS, "{" GUEST ", \"uses\": 0}", "row.bad-number", "uses", NULL },
    { ROW_BANS, "{\"reason\": \"theft\", \"plate\": \"PBX-1234\"}", NULL, NULL,
      "{\"community\":\"" COMMUNITY "\",\"plate\":\"PBX-1234\",\"reason\":\"theft\"}" },
    { ROW_BANS, "{\"reason\": \"theft\"}", "row.missing", "plate", NULL },
    { ROW_BANS, "{\"name\": \"Juan\"}", "row.missing", "reason", NULL },
};

static void check(const Case *k)
{
    _cleanup_(cJSON_Deletep) cJSON *row = NULL;
    _cleanup_(error_done) Error err = {};
    char id[UUID_SIZE];
    assert_int_equal(json_parse_object(k->row, strlen(k->row), &row, NULL), 0);
    int r = row_check(k->kind, COMMUNITY, ID, row, id, &err);
    if (k->error) {
        assert_int_equal(r, -EBADMSG);
        assert_string_equal(err.id, k->error);
        assert_string_equal(err.key, k->key);
        return;
    }
    if (r < 0)
        fail_msg("%s: %s", k->row, error_message(&err, r));
    assert_string_equal(id, ID);
    _cleanup_(freep) char *text = json_print_canonical(row);
    assert_string_equal(text, k->kept);
}

static void test_rows(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        check(&cases[i]);
}

static void test_times(void **state)
{
    static const struct {
        const char *time;
        bool good;
    } times[] = {
        { "2024-02-29T00:00:00Z", true },      { "2023-02-29T00:00:00Z", false },
        { "2026-04-31T00:00:00Z", false },     { "2026-13-01T00:00:00Z", false },
        { "2026-01-01T24:00:00Z", false },     { "2026-01-01T00:00:60Z", false },
        { "2026-01-01T00:00:00", false },      { "2026-01-01 00:00:00Z", false },
        { "2026-01-01T00:00:00.Z", false },    { "2026-01-01T00:00:00.123456Z", true },
        { "2026-01-01T00:00:00+14:00", true }, { "2026", false },
        { "2026-01-01T00:00:00+1400", false }, { "", false },
    };
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(times); i++) {
        _cleanup_(cJSON_Deletep) cJSON *row = cJSON_CreateObject();
        char id[UUID_SIZE];
        assert_int_equal(json_add_string(row, "plate", "A1"), 0);
        assert_int_equal(json_add_string(row, "reason", "theft"), 0);
        assert_int_equal(json_add_string(row, "until", times[i].time), 0);
        if ((row_check(ROW_BANS, COMMUNITY, ID, row, id, NULL) == 0) != times[i].good)
            fail_msg("%s", times[i].time);
    }
}

static void test_a_row_names_itself_in_any_case(void **state)
{
    static const char text[] = "{\"id\": \"ABCDEF12-2222-3333-4444-555555555555\", \"name\": \"1\"}";
    _cleanup_(cJSON_Deletep) cJSON *row = NULL;
    char id[UUID_SIZE];
    (void) state;
    assert_int_equal(json_parse_object(text, strlen(text), &row, NULL), 0);
    assert_int_equal(row_check(ROW_UNITS, COMMUNITY, NULL, row, id, NULL), 0);
    assert_string_equal(id, "abcdef12-2222-3333-4444-555555555555");
}

static void test_too_large_a_row(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *row = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    char id[UUID_SIZE], big[ROW_SIZE_MAX];
    (void) state;
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(json_add_string(row, "name", "1"), 0);
    assert_int_equal(json_add_string(row, "other", big), 0);
    assert_int_equal(row_check(ROW_UNITS, COMMUNITY, ID, row, id, &err), -EMSGSIZE);
    assert_string_equal(err.id, "row.too-large");
}

static void test_pins(void **state)
{
    char hash[PIN_HASH_SIZE], again[PIN_HASH_SIZE];
    (void) state;
    assert_true(pin_is_valid("0123"));
    assert_false(pin_is_valid("123"));
    assert_false(pin_is_valid("1234567890123"));
    assert_false(pin_is_valid("12a4"));
    assert_false(pin_is_valid(NULL));
    assert_int_equal(pin_hash("0123", hash), 0);
    assert_int_equal(pin_hash("0123", again), 0);
    assert_string_not_equal(hash, again);
    assert_null(strstr(hash, "0123$"));
    assert_int_equal(pin_check("0123", hash), 1);
    assert_int_equal(pin_check("0124", hash), 0);
    assert_int_equal(pin_check("0123", "$scrypt$ln=14,r=8,p=1$AAAA$AAAA"), -EINVAL);
    assert_int_equal(pin_check("0123", "0123"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_a_row_names_itself_in_any_case),
        cmocka_unit_test(test_too_large_a_row),
        cmocka_unit_test(test_pins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
