/* SPDX-License-Identifier: MIT */
/* Rows as records, and that the index of bans leaves out nobody whom the rules would name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/lan/ban-index.h"
#include "secbox/lan/record.h"

#define BANS 400
#define QUERIES 400

static const char *const first_names[] = { "José", "María", "Ana", "Luis", "Pedro Pablo", "Jo", "Ñusta", "Zoë" };
static const char *const last_names[] = { "Núñez", "López Díaz", "Ruiz",   "O'Brien", "Fernández García",
                                          "Wu",    "Pérez",      "Paz Paz" };

static uint64_t seed = 20260101;

static unsigned below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned) (seed >> 33) % n;
}

static char *some_name(void)
{
    char *name =
        str_format("%s %s", first_names[below(ELEMENTSOF(first_names))], last_names[below(ELEMENTSOF(last_names))]);

    assert_non_null(name);
    size_t at = below((unsigned) strlen(name));
    if (below(2) && (name[at] & 0x80) == 0) /* a slip of the pen */
        name[at] = (char) ('a' + below(26));
    return name;
}

static char *some_plate(void)
{
    char *plate = str_format("%c%c%c-%u", 'A' + (int) below(3), 'A' + (int) below(3), 'O', 100 + below(40));

    assert_non_null(plate);
    char *at = plate + below((unsigned) strlen(plate) - 1);
    switch (below(4)) {
    case 0: /* two changed places */
        *at ^= at[1];
        at[1] ^= *at;
        *at ^= at[1];
        break;
    case 1: /* one is missing */
        memmove(at, at + 1, strlen(at));
        break;
    default:
        break;
    }
    return plate;
}

/* Behind which nothing counts any more for names that look alike; of a plate, longer than any is. */
static char *some_long_text(void)
{
    _cleanup_(freep) char *name = some_name(), *plate = some_plate();

    return below(2) ? str_format("%0*d %s", 240 + (int) below(20), 7, name)
                    : str_format("%s%0*d", plate, 9 + (int) below(4), 7);
}

typedef struct Seen {
    bool of[BANS];
    const BanIndex *index;
} Seen;

static int on_found(const Ban *ban, void *userdata)
{
    Seen *seen = userdata;

    for (size_t i = 0; i < ban_index_count(seen->index); i++)
        if (ban_index_at(seen->index, i) == ban)
            seen->of[i] = true;
    return 0;
}

static bool rules_name(const char *name, const char *plate, const Ban *ban)
{
    _cleanup_(cJSON_Deletep) cJSON *row = NULL;

    assert_int_equal(json_parse_object(ban->data, strlen(ban->data), &row, NULL), 0);
    const Record r = record_from(RECORD_BAN, row);
    _cleanup_(freep) char *a = match_name(name), *b = match_name(r.name ? r.name : "");
    _cleanup_(freep) char *c = match_plate(plate), *d = match_plate(r.plate ? r.plate : "");

    return match_names(a, b) != MATCH_NONE || match_plates(c, d) != MATCH_NONE;
}

/* Sealed after so many of them. */
static BanIndex *some_index(size_t sealed)
{
    BanIndex *index = ban_index_new();

    for (size_t i = 0; i < BANS; i++) {
        _cleanup_(freep) char *name = i % 20 == 1 ? some_long_text() : some_name(), *id = str_format("ban-%zu", i);
        _cleanup_(freep) char *plate = i % 20 == 2 ? some_long_text() : some_plate();
        _cleanup_(freep) char *data =
            str_format("{\"%s\":\"%s\",\"reason\":\"x\"}", i % 2 ? "name" : "plate", i % 2 ? name : plate);

        assert_int_equal(ban_index_add(index, id, data, false), 0);
        if (i + 1 == sealed)
            assert_int_equal(ban_index_seal(index), 0);
    }
    return index;
}

static void nobody_is_left_out(size_t sealed)
{
    _cleanup_(ban_index_freep) BanIndex *index = some_index(sealed);
    size_t named = 0, found = 0;

    for (size_t q = 0; q < QUERIES; q++) {
        _cleanup_(freep) char *name = q % 20 == 1 ? some_long_text() : some_name();
        _cleanup_(freep) char *plate = q % 20 == 2 ? some_long_text() : some_plate();
        Seen seen = { .index = index };

        if (below(3) == 0)
            name[below((unsigned) strlen(name)) + 1] = '\0';
        assert_int_equal(ban_index_search(index, name, plate, NULL, on_found, &seen), 0);
        for (size_t i = 0; i < BANS; i++) {
            bool must = rules_name(name, plate, ban_index_at(index, i));
            if (must && !seen.of[i])
                fail_msg("'%s' / '%s' does not find %s", name, plate, ban_index_at(index, i)->data);
            named += must;
            found += seen.of[i];
        }
    }
    assert_true(named > 0 && found < QUERIES * BANS / 2);
}

static void test_nobody_is_left_out(void **state)
{
    (void) state;
    nobody_is_left_out(0);
    nobody_is_left_out(BANS);
    nobody_is_left_out(BANS / 2);
}

static void test_documents(void **state)
{
    _cleanup_(ban_index_freep) BanIndex *index = ban_index_new();
    Seen seen = { .index = index }, sealed = { .index = index };

    (void) state;
    assert_int_equal(ban_index_add(index, "a", "{\"document\":\"V-12.345\"}", true), 0);
    assert_int_equal(ban_index_add(index, "b", "[1]", false), -EBADMSG);
    assert_int_equal(ban_index_count(index), 1);
    assert_true(ban_index_at(index, 0)->unconfirmed);
    assert_int_equal(ban_index_search(index, NULL, NULL, "v12345", on_found, &seen), 0);
    assert_true(seen.of[0]);
    assert_int_equal(ban_index_seal(index), 0);
    assert_int_equal(ban_index_search(index, NULL, NULL, "v12345", on_found, &sealed), 0);
    assert_true(sealed.of[0]);
}

static Record parsed(RecordKind kind, const char *text, cJSON **ret_row)
{
    assert_int_equal(json_parse_object(text, strlen(text), ret_row, NULL), 0);
    return record_from(kind, *ret_row);
}

static void test_rows(void **state)
{
    const LocalMoment at = { .now = 1767323045, .weekday = 5, .minute = 184 };
    static const char *const never[] = {
        "{\"from\":5}",
        "{\"until\":\"tomorrow\"}",
        "{\"days\":\"mon\"}",
        "{\"days\":[\"lunes\"]}",
        "{\"hours\":\"all day\"}",
        "{\"uses\":\"many\"}",
        "{\"uses\":-1}",
        "{\"hours\":8}",
        "{\"days\":[1]}",
    };
    cJSON *row = NULL;

    (void) state;
    Record r = parsed(RECORD_GUEST,
                      "{\"name\":\"Ana\",\"from\":\"2026-01-01T00:00:00Z\",\"until\":\"2026-02-01T00:00:00Z\","
                      "\"days\":[\"fri\"],\"hours\":\"03:00-04:00\",\"uses\":2,\"x\":{}}",
                      &row);
    assert_int_equal(guest_refusal(&r, &at), REFUSAL_NONE);
    r.used = 2;
    assert_int_equal(guest_refusal(&r, &at), REFUSAL_USED_UP);
    cJSON_Delete(row);
    r = parsed(RECORD_GUEST, "{\"from\":null,\"until\":null,\"days\":null,\"hours\":null,\"uses\":null}", &row);
    assert_int_equal(guest_refusal(&r, &at), REFUSAL_NONE);
    cJSON_Delete(row);
    for (size_t i = 0; i < ELEMENTSOF(never); i++) {
        r = parsed(RECORD_GUEST, never[i], &row);
        if (guest_refusal(&r, &at) == REFUSAL_NONE)
            fail_msg("%s lets somebody in", never[i]);
        cJSON_Delete(row);
    }
    r = parsed(RECORD_BAN, "{\"name\":\"Ana\",\"until\":\"some day\"}", &row);
    assert_true(ban_is_active(&r, &at));
    cJSON_Delete(row);
}

static uint64_t tag_of(const char *first, const char *data, bool unconfirmed)
{
    _cleanup_(ban_index_freep) BanIndex *index = ban_index_new();

    assert_int_equal(ban_index_add(index, first, data, unconfirmed), 0);
    assert_int_equal(ban_index_add(index, "2", "{}", false), 0);
    return ban_index_tag(index);
}

static void test_tag(void **state)
{
    const uint64_t tag = tag_of("1", "{\"name\":\"Ana\"}", false);
    BanIndex *empty = ban_index_new();

    (void) state;
    assert_true(tag == tag_of("1", "{\"name\":\"Ana\"}", false));
    assert_true(tag != tag_of("3", "{\"name\":\"Ana\"}", false));
    assert_true(tag != tag_of("1", "{\"name\":\"Ann\"}", false));
    assert_true(tag != tag_of("1", "{\"name\":\"Ana\"}", true));
    assert_true(tag != ban_index_tag(empty));
    ban_index_free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_is_left_out),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
