/* SPDX-License-Identifier: MIT */
/* When guards and when the cloud are told of what cameras read, and by which ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/matches/match-events.h"
#include "secbox/matches/match-rules.h"

#define ID "1700000000.123456-abc123"
#define OTHER "1700000005.123456-xyz789"
#define S(seconds) ((usec_t) (seconds) *USEC_PER_SEC)

static void on_seen(const Sighting *s, void *userdata)
{
    assert_int_equal(buf_printf(userdata, "seen %s%s;", s->text, s->sure ? "!" : s->leads ? "" : "?"), 0);
}

static void on_settled(const Sighting *s, void *userdata)
{
    assert_int_equal(buf_printf(userdata, "settled %s%s;", s->text, s->sure ? "!" : ""), 0);
}

static const MatchRulesEvents rules_events = { .on_seen = on_seen, .on_settled = on_settled };

typedef struct Gate {
    MatchRules *rules;
    Buf told;
} Gate;

static Gate gate_new(void)
{
    return (Gate) { .told = BUF_INIT(65536) };
}

/* The rules keep a pointer to what is told: it must not move. */
static void gate_open(Gate *g)
{
    g->rules = match_rules_new(&rules_events, &g->told);
    assert_non_null(g->rules);
}

static void gate_close(Gate *g)
{
    match_rules_free(g->rules);
    buf_done(&g->told);
}

static void expect(Gate *g, const char *told)
{
    assert_string_equal(g->told.len > 0 ? g->told.data : "", told);
    buf_done(&g->told);
    g->told = BUF_INIT(65536);
}

static void take(Gate *g, const ObjectNews *news, usec_t now)
{
    assert_int_equal(match_rules_take(g->rules, news, now), 0);
}

static ObjectNews plate_of(const char *id, const char *plate, double score)
{
    ObjectNews o = { .attempt = true, .camera = "entrada", .started = frigate_id_time(id), .plate.score = score };

    memcpy(o.id, id, strlen(id));
    memcpy(o.plate.text, plate, strlen(plate));
    return o;
}

static void read_plate(Gate *g, const char *plate, double score, usec_t now)
{
    const ObjectNews o = plate_of(ID, plate, score);

    take(g, &o, now);
}

static void end_of(Gate *g, const char *id, usec_t now)
{
    ObjectNews o = plate_of(id, "", 0);

    o.attempt = false;
    o.ended = true;
    take(g, &o, now);
}

static void test_a_sure_reading(void **state)
{
    (void) state;
    Gate g = gate_new();

    gate_open(&g);
    read_plate(&g, "ABC123", 0.95, S(100));
    expect(&g, "seen ABC123!;");
    assert_int_equal(match_rules_tick(g.rules, S(101)), S(103));
    /* the same again is nothing new, and does not put it off */
    read_plate(&g, "ABC123", 0.97, S(102));
    assert_true(match_rules_tick(g.rules, S(103)) == USEC_INFINITY);
    expect(&g, "settled ABC123!;");
    read_plate(&g, "ABC123", 0.97, S(104));
    end_of(&g, ID, S(105));
    assert_true(match_rules_tick(g.rules, S(120)) == USEC_INFINITY);
    expect(&g, "");
    gate_close(&g);
}

static void test_doubtful_readings(void **state)
{
    (void) state;
    Gate g = gate_new();

    gate_open(&g);
    read_plate(&g, "ABC1", MATCH_PLATE_MIN - 0.01, S(100));
    expect(&g, "");
    /* guards are told at once; the cloud when it was read twice */
    read_plate(&g, "ABC123", 0.75, S(100));
    expect(&g, "seen ABC123;");
    assert_true(match_rules_tick(g.rules, S(100) + MATCH_SETTLE_MAX) == USEC_INFINITY);
    expect(&g, "");
    read_plate(&g, "ABC123", 0.75, S(120));
    assert_true(match_rules_tick(g.rules, S(120)) == USEC_INFINITY);
    expect(&g, "settled ABC123;");
    gate_close(&g);
}

static void test_another_plate_leads(void **state)
{
    (void) state;
    Gate g = gate_new();

    gate_open(&g);
    read_plate(&g, "A8C123", 0.8, S(100));
    read_plate(&g, "ABC123", 0.75, S(101));
    /* it may be banned, though the other is likelier */
    expect(&g, "seen A8C123;seen ABC123?;");
    read_plate(&g, "A8C123", 0.8, S(101));
    read_plate(&g, "ABC123", 0.75, S(101));
    expect(&g, "");
    read_plate(&g, "ABC123", 0.91, S(102));
    expect(&g, "seen ABC123!;");
    assert_int_equal(match_rules_tick(g.rules, S(103)), S(105));
    assert_true(match_rules_tick(g.rules, S(105)) == USEC_INFINITY);
    expect(&g, "settled ABC123!;");
    gate_close(&g);
}

/* A plate that is read in ever new ways is reported at the latest after MATCH_SETTLE_MAX. */
static void test_it_is_not_put_off_for_ever(void **state)
{
    (void) state;
    Gate g = gate_new();
    usec_t due = 0;

    gate_open(&g);
    for (unsigned i = 0; i < 12; i++) {
        char plate[] = "AAA000";
        plate[0] = (char) ('A' + i / 2);
        read_plate(&g, plate, 0.9 + i * 0.005, S(100 + i));
        read_plate(&g, plate, 0.9 + i * 0.005, S(100 + i));
        due = match_rules_tick(g.rules, S(100 + i));
        if (due == USEC_INFINITY)
            break;
        assert_true(due <= S(100) + MATCH_SETTLE_MAX);
    }
    assert_true(due == USEC_INFINITY);
    gate_close(&g);
}

static void test_what_ends_settles_at_once(void **state)
{
    (void) state;
    Gate g = gate_new();

    gate_open(&g);
    read_plate(&g, "ABC123", 0.75, S(100));
    read_plate(&g, "ABC123", 0.75, S(100));
    end_of(&g, ID, S(101));
    (void) !match_rules_tick(g.rules, S(101));
    expect(&g, "seen ABC123;settled ABC123;");
    /* what Frigate has kept of something that is over counts, however seldom it was read */
    ObjectNews kept = plate_of(OTHER, "XYZ987", 0.75);
    kept.attempt = false;
    kept.ended = true;
    take(&g, &kept, S(102));
    (void) !match_rules_tick(g.rules, S(102));
    expect(&g, "seen XYZ987;settled XYZ987;");
    gate_close(&g);
}

static void test_faces(void **state)
{
    (void) state;
    Gate g = gate_new();
    ObjectNews o = { .id = ID, .camera = "entrada", .attempt = true, .started = S(1), .face = { "Ana", 0.79 } };

    gate_open(&g);
    take(&g, &o, S(100));
    expect(&g, "");
    o.face.score = 0.85;
    take(&g, &o, S(100));
    expect(&g, "seen Ana;");
    /* Frigate calls the person so: it is sure, though it does not say how */
    o.attempt = false;
    o.face.score = READING_NO_SCORE;
    take(&g, &o, S(101));
    expect(&g, "seen Ana!;");
    (void) !match_rules_tick(g.rules, S(104));
    expect(&g, "settled Ana!;");
    gate_close(&g);
}

static void test_told_again(void **state)
{
    (void) state;
    Gate g = gate_new();

    gate_open(&g);
    read_plate(&g, "ABC123", 0.95, S(100));
    (void) !match_rules_tick(g.rules, S(103));
    expect(&g, "seen ABC123!;settled ABC123!;");
    match_rules_tell_again(g.rules);
    read_plate(&g, "ABC123", 0.95, S(110));
    (void) !match_rules_tick(g.rules, S(110));
    expect(&g, "settled ABC123!;");
    gate_close(&g);
}

static void test_what_is_open(void **state)
{
    (void) state;
    Gate g = gate_new();
    const ObjectNews later = plate_of(OTHER, "XYZ987", 0.95);

    gate_open(&g);
    assert_true(match_rules_open_since(g.rules) == USEC_INFINITY);
    read_plate(&g, "ABC123", 0.95, S(100));
    take(&g, &later, S(100));
    assert_int_equal(match_rules_open_since(g.rules), S(1700000000));
    end_of(&g, ID, S(101));
    assert_int_equal(match_rules_open_since(g.rules), S(1700000005));
    /* nobody says that it is gone */
    (void) !match_rules_tick(g.rules, S(101) + MATCH_FORGET + S(1));
    assert_true(match_rules_open_since(g.rules) == USEC_INFINITY);
    gate_close(&g);
}

static void test_no_more_than_so_many(void **state)
{
    (void) state;
    Gate g = gate_new();

    gate_open(&g);
    for (unsigned i = 0; i < MATCH_TRACKS_MAX + 10; i++) {
        _cleanup_(freep) char *id = str_format("%u.5-a", 1700000000 + i);
        const ObjectNews o = plate_of(id, "", 0);
        take(&g, &o, S(100));
    }
    assert_int_equal(match_rules_open_since(g.rules), S(1700000010));
    gate_close(&g);
}

static void test_events(void **state)
{
    (void) state;
    Sighting s = {
        .kind = SIGHTING_PLATE, .id = ID, .camera = "entrada", .text = "ABC123", .score = 0.9376, .sure = true
    };
    const ReviewNews v = { .id = ID,
                           .camera = "entrada",
                           .from = S(1700000000),
                           .until = S(1700000010),
                           .alert = true,
                           .objects = { "car" },
                           .n_objects = 1 };
    MatchEvent a, b, c, d;

    assert_int_equal(match_event_of_sighting(&s, "caseta5", &a), 0);
    _cleanup_(freep) char *text = json_print(a.data);
    assert_string_equal(a.kind, "plate.match");
    assert_string_equal(text, "{\"camera\":\"entrada\",\"object\":\"" ID
                              "\",\"plate\":\"ABC123\",\"score\":0.938,\"sure\":true}");
    assert_true(uuid_is_valid(a.client_id) && a.client_id[UUID_VERSION_AT] == '7');
    s.score = READING_NO_SCORE;
    assert_int_equal(match_event_of_sighting(&s, "caseta5", &b), 0);
    assert_string_equal(a.client_id, b.client_id);
    assert_null(cJSON_GetObjectItemCaseSensitive(b.data, "score"));
    assert_int_equal(match_event_of_sighting(&s, "caseta6", &c), 0);
    assert_string_not_equal(a.client_id, c.client_id);
    assert_int_equal(match_event_of_review(&v, "caseta5", &d), 0);
    _cleanup_(freep) char *clip = json_print(d.data);
    assert_string_equal(d.kind, "motion.clip");
    assert_string_equal(clip,
                        "{\"camera\":\"entrada\",\"review\":\"" ID "\",\"from\":\"2023-11-14T22:13:20.000Z\",\"until\":"
                        "\"2023-11-14T22:13:30.000Z\",\"severity\":\"alert\",\"objects\":[\"car\"],\"zones\":[]}");
    match_event_done(&a);
    match_event_done(&b);
    match_event_done(&c);
    match_event_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sure_reading),
        cmocka_unit_test(test_doubtful_readings),
        cmocka_unit_test(test_another_plate_leads),
        cmocka_unit_test(test_it_is_not_put_off_for_ever),
        cmocka_unit_test(test_what_ends_settles_at_once),
        cmocka_unit_test(test_faces),
        cmocka_unit_test(test_told_again),
        cmocka_unit_test(test_what_is_open),
        cmocka_unit_test(test_no_more_than_so_many),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
