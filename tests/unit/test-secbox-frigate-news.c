/* SPDX-License-Identifier: MIT */
/* What Frigate says of what it sees, as text and as the answers of its interface. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "secbox/matches/frigate-news.h"

#define ID "1700000000.123456-abc123"
#define WHOSE "\\\"id\\\":\\\"" ID "\\\",\\\"camera\\\":\\\"entrada\\\""
#define MESSAGE(topic, payload) "{\"topic\": \"" topic "\", \"payload\": \"" payload "\"}"
#define UPDATE(type, rest) MESSAGE("tracked_object_update", "{\\\"type\\\":\\\"" type "\\\"," WHOSE rest "}")
#define EVENT(rest) MESSAGE("events", "{\\\"type\\\":\\\"update\\\",\\\"before\\\":{},\\\"after\\\":{" WHOSE rest "}}")
#define REVIEW(rest) MESSAGE("reviews", "{\\\"type\\\":\\\"end\\\",\\\"after\\\":{" WHOSE rest "}}")
#define NAME "\\\"name\\\":"
#define PERSON ",\\\"label\\\":\\\"person\\\",\\\"start_time\\\":1700000000.5"

/* In one line: what was told. */
static void on_object(const ObjectNews *o, void *userdata)
{
    assert_string_equal(o->id, ID);
    assert_string_equal(o->camera, "entrada");
    assert_int_equal(buf_printf(userdata, "%s%llu,%llu%s%s", o->attempt ? "try " : "", (unsigned long long) o->started,
                                (unsigned long long) o->at, o->ended ? ",ended" : "", o->face.text[0] ? ",face " : ""),
                     0);
    if (o->face.text[0])
        assert_int_equal(buf_printf(userdata, "%s %.2f", o->face.text, o->face.score), 0);
    if (o->plate.text[0])
        assert_int_equal(buf_printf(userdata, ",plate %s %.2f", o->plate.text, o->plate.score), 0);
    assert_int_equal(buf_puts(userdata, ";"), 0);
}

static void on_review(const ReviewNews *r, void *userdata)
{
    assert_int_equal(buf_printf(userdata, "review %llu-%llu%s", (unsigned long long) r->from,
                                (unsigned long long) r->until, r->alert ? " alert" : ""),
                     0);
    for (size_t i = 0; i < r->n_objects; i++)
        assert_int_equal(buf_printf(userdata, " %s", r->objects[i]), 0);
    for (size_t i = 0; i < r->n_zones; i++)
        assert_int_equal(buf_printf(userdata, " in %s", r->zones[i]), 0);
    assert_int_equal(buf_puts(userdata, ";"), 0);
}

static const NewsEvents news_events = { .on_object = on_object, .on_review = on_review };

static void test_messages(void **state)
{
    (void) state;
    static const struct {
        const char *text, *told;
        int r;
    } cases[] = {
        { UPDATE("lpr",
                 "," NAME "null,\\\"plate\\\":\\\"ABC123\\\",\\\"score\\\":0.92,\\\"timestamp\\\":1700000001.25"),
          "try 1700000000000000,1700000001250000,plate ABC123 0.92;", 1 },
        { UPDATE("face", "," NAME "\\\"Ana\\\",\\\"score\\\":0.81,\\\"timestamp\\\":1700000002"),
          "try 1700000000000000,1700000002000000,face Ana 0.81;", 1 },
        /* nobody was recognised, or it is about something else */
        { UPDATE("face", "," NAME "null,\\\"score\\\":0.4"), "", 0 },
        { UPDATE("face", "," NAME "\\\"unknown\\\",\\\"score\\\":0.7"), "", 0 },
        { UPDATE("description", ",\\\"description\\\":\\\"a car\\\""), "", 0 },
        { MESSAGE("tracked_object_update",
                  "{\\\"type\\\":\\\"lpr\\\",\\\"plate\\\":null,\\\"camera\\\":\\\"entrada\\\"}"),
          "", 0 },
        { EVENT(PERSON ",\\\"end_time\\\":null,\\\"frame_time\\\":1700000003,\\\"sub_label\\\":[\\\"Ana\\\",0.93]"),
          "1700000000500000,1700000003000000,face Ana 0.93;", 1 },
        { EVENT(PERSON ",\\\"end_time\\\":1700000009,\\\"sub_label\\\":\\\"Ana\\\""),
          "1700000000500000,1700000009000000,ended,face Ana -1.00;", 1 },
        /* what is written beside a car is no face */
        { EVENT(",\\\"label\\\":\\\"car\\\",\\\"start_time\\\":1700000000.5,\\\"sub_label\\\":[\\\"Ana's\\\",0.93],"
                "\\\"recognized_license_plate\\\":[\\\"ABC123\\\",0.9]"),
          "1700000000500000,0,plate ABC123 0.90;", 1 },
        { EVENT(PERSON ",\\\"false_positive\\\":true"), "", 0 },
        { REVIEW(",\\\"start_time\\\":1700000000,\\\"end_time\\\":1700000010.5,\\\"severity\\\":\\\"alert\\\","
                 "\\\"data\\\":"
                 "{\\\"objects\\\":[\\\"car\\\",\\\"person\\\"],\\\"zones\\\":[\\\"gate\\\",7]}"),
          "review 1700000000000000-1700000010500000 alert car person in gate;", 1 },
        { REVIEW(",\\\"start_time\\\":1700000000,\\\"end_time\\\":null,\\\"severity\\\":\\\"detection\\\",\\\"data\\\":"
                 "null"),
          "review 1700000000000000-0;", 1 },
        { "{\"topic\": \"stats\", \"payload\": \"{}\"}", "", 0 },
        { "{\"topic\": \"entrada/events\", \"payload\": 3}", "", 0 },
        { "{\"topic\": \"events\", \"payload\": {}}", "", 0 },
        { "{\"topic\": \"events\", \"payload\": \"{}\"}", "", 0 },
        { "{\"topic\": \"events\", \"payload\": \"[{\"}", "", -EBADMSG },
        { "[\"events\"", "", -EBADMSG },
        { "", "", 0 },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(buf_done) Buf told = BUF_INIT(1024);
        _cleanup_(error_done) Error err = {};
        assert_int_equal(buf_puts(&told, ""), 0);
        assert_int_equal(frigate_news_message(cases[i].text, strlen(cases[i].text), &news_events, &told, &err),
                         cases[i].r);
        assert_string_equal(told.data, cases[i].told);
        assert_true(cases[i].r >= 0 || str_equal(err.id, "camera.frigate-answer"));
    }
}

/* What cannot be an id or a camera's name would become a path. */
static void test_names(void **state)
{
    (void) state;
    static const char *const ids[] = {
        "",   "x",   "1700000000",       "1700000000.1-",   "1700000000.1-../x",     "17/0-a",
        "-a", ".-a", "1700000000.1-a b", "1700000000..1-a", "1700000000.1-a\xc3\xb1"
    };
    static const char *const good[] = { ID, "1700000000-a", "1.5-Z9" };

    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        assert_false(frigate_id_is_valid(ids[i]));
        assert_int_equal(frigate_id_time(ids[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_true(frigate_id_is_valid(good[i]));
    assert_false(frigate_id_is_valid(NULL));
    assert_int_equal(frigate_id_time(ID), 1700000000 * USEC_PER_SEC);
}

#define LISTED "{\"id\":\"" ID "\",\"camera\":\"entrada\",\"label\":\"person\",\"start_time\":1700000000.5"

static void test_answers(void **state)
{
    (void) state;
    static const char events[] =
        "[" LISTED ",\"end_time\":1700000009.0,\"sub_label\":\"Ana\",\"data\":{\"sub_label_score\":0.95}},"
        "{\"id\":\"../config\",\"camera\":\"entrada\",\"start_time\":1600000000.0},"
        "{\"id\":\"" ID "\",\"camera\":\"entrada\",\"label\":\"car\",\"start_time\":1700000000.5,\"end_time\":null,"
        "\"data\":{\"recognized_license_plate\":\"ABC123\",\"recognized_license_plate_score\":0.75}}]";
    static const char reviews[] =
        "[" LISTED ",\"end_time\":1700000009.0,\"severity\":\"alert\",\"data\":{\"objects\":[]}}]";
    _cleanup_(buf_done) Buf told = BUF_INIT(1024);
    usec_t first;

    assert_int_equal(frigate_news_events(events, strlen(events), &news_events, &told, &first, NULL), 3);
    assert_string_equal(told.data, "1700000000500000,1700000009000000,ended,face Ana 0.95;"
                                   "1700000000500000,0,plate ABC123 0.75;");
    assert_int_equal(first, 1600000000 * USEC_PER_SEC);
    buf_done(&told);
    told = BUF_INIT(1024);
    assert_int_equal(frigate_news_reviews(reviews, strlen(reviews), &news_events, &told, &first, NULL), 1);
    assert_string_equal(told.data, "review 1700000000500000-1700000009000000 alert;");
    assert_int_equal(frigate_news_events("[]", 2, &news_events, &told, &first, NULL), 0);
    assert_true(first == USEC_INFINITY);
    assert_int_equal(frigate_news_events("{}", 2, &news_events, &told, &first, NULL), -EBADMSG);
    assert_int_equal(frigate_news_reviews("[{", 2, &news_events, &told, &first, NULL), -EBADMSG);
}

/* Whoever asks can ask for less. */
static void test_an_answer_that_is_too_large(void **state)
{
    (void) state;
    static char text[2 * JSON_VALUES_MAX + 2];
    _cleanup_(buf_done) Buf told = BUF_INIT(1024);
    _cleanup_(error_done) Error err = {};
    usec_t first;

    for (size_t i = 0; i < sizeof(text) - 2; i += 2) /* "[1,1,1]" */
        memcpy(text + i, ",1", 2);
    text[0] = '[';
    text[sizeof(text) - 2] = ']';
    assert_int_equal(frigate_news_events(text, sizeof(text) - 1, &news_events, &told, &first, &err), -EMSGSIZE);
    assert_string_equal(err.id, "camera.frigate-answer");
}

/* Too long is not cut: another plate would come of it. */
static void test_long_texts(void **state)
{
    (void) state;
    _cleanup_(buf_done) Buf told = BUF_INIT(1024), text = BUF_INIT(4096);

    assert_int_equal(buf_puts(&told, ""), 0);
    assert_int_equal(
        buf_printf(&text, UPDATE("lpr", ",\\\"score\\\":1,\\\"plate\\\":\\\"%0*d\\\""), READING_MAX + 1, 7), 0);
    assert_int_equal(frigate_news_message(text.data, text.len, &news_events, &told, NULL), 0);
    assert_string_equal(told.data, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_answers),    cmocka_unit_test(test_an_answer_that_is_too_large),
        cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
