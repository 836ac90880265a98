/* SPDX-License-Identifier: MIT */
/* Structs as JSON: what is read, kept, and left out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/data/json-fields.h"

typedef enum Colour { COLOUR_RED, COLOUR_BLUE } Colour;

static const char *const colours[] = { "red", "blue", NULL };

typedef struct Part {
    char *name;
    cJSON *rest;
} Part;

typedef struct Thing {
    char *text;
    char **list;
    bool flag;
    int number;
    unsigned count;
    uint64_t large;
    usec_t at;
    Colour colour;
    cJSON *value;
    Part *parts;
    size_t n_parts;
    Part *part;
    cJSON *rest;
} Thing;

static const JsonField part_fields[] = {
    { JSON_FIELD(Part, name, "name") },
    { JSON_REST_FIELD(Part, rest) },
    {},
};
static const JsonType part_type = JSON_TYPE(Part, part_fields);

static const JsonField fields[] = {
    { JSON_FIELD(Thing, text, "text") },
    { JSON_FIELD(Thing, list, "list") },
    { JSON_FIELD(Thing, flag, "flag") },
    { JSON_FIELD(Thing, number, "number") },
    { JSON_FIELD(Thing, count, "count") },
    { JSON_FIELD(Thing, large, "large") },
    { JSON_TIME_FIELD(Thing, at, "at") },
    { JSON_NAME_FIELD(Thing, colour, "colour", colours) },
    { JSON_FIELD(Thing, value, "value") },
    { JSON_LIST_FIELD(Thing, parts, "parts", &part_type) },
    { JSON_OBJECT_FIELD(Thing, part, "part", &part_type) },
    { JSON_REST_FIELD(Thing, rest) },
    {},
};
static const JsonType type = JSON_TYPE(Thing, fields);

static int read_thing(const char *text, Thing *ret)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;

    assert_int_equal(json_parse_object(text, strlen(text), &o, NULL), 0);
    return json_read(o, &type, ret);
}

static void assert_written(const Thing *t, const char *wanted)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(&type, t);
    _cleanup_(freep) char *text = json_print(o);

    assert_string_equal(text, wanted);
}

#define WHOLE                                                                                                          \
    "{\"text\":\"ü\",\"list\":[\"a\",\"b\"],\"flag\":true,\"number\":-7,\"count\":3,\"large\":"                       \
    "\"18446744073709551615\","                                                                                        \
    "\"at\":\"2026-01-02T03:04:05.678Z\",\"colour\":\"blue\",\"value\":{\"x\":[1,null]},\"parts\":[{\"name\":\"p\"},"  \
    "{\"name\":\"q\",\"old\":1}],\"part\":{\"name\":\"r\",\"new\":\"2\"},\"unknown\":{\"deep\":[true]},\"null\":null}"

static void test_round_trip(void **state)
{
    Thing t, copy;

    (void) state;
    memset(&t, 0xff, sizeof(t));
    assert_int_equal(read_thing(WHOLE, &t), 0);
    assert_int_equal(t.number, -7);
    assert_int_equal(t.count, 3);
    assert_true(t.large == UINT64_MAX);
    assert_int_equal(t.at, UINT64_C(1767323045678000));
    assert_int_equal(t.colour, COLOUR_BLUE);
    assert_int_equal(strv_length(t.list), 2);
    assert_int_equal(t.n_parts, 2);
    assert_string_equal(t.parts[1].name, "q");
    assert_string_equal(t.part->name, "r");
    assert_written(&t, WHOLE);
    assert_int_equal(json_copy(&type, &t, &copy), 0);
    json_done(&type, &t);
    assert_written(&copy, WHOLE);
    json_done(&type, &copy);
    json_done(&type, &copy);
}

/* Counts were written as strings once. */
static void test_what_is_absent(void **state)
{
    Thing t;

    (void) state;
    assert_int_equal(read_thing("{\"count\":\"4\",\"parts\":[]}", &t), 0);
    assert_int_equal(t.count, 4);
    assert_written(&t, "{\"number\":0,\"count\":4,\"large\":\"0\",\"colour\":\"red\",\"parts\":[]}");
    json_done(&type, &t);
    assert_int_equal(json_read(NULL, &type, &t), 0);
    assert_null(t.text);
    json_done(&type, &t);
}

/* One that is wrong costs no other. */
static void test_wrong_kinds(void **state)
{
    static const struct {
        const char *text, *left;
    } cases[] = {
        { "{\"text\":7}", "" },
        { "{\"text\":null}", "" },
        { "{\"list\":\"a\"}", "" },
        { "{\"flag\":1}", "" },
        { "{\"number\":\"7\"}", "" },
        { "{\"count\":-1}", "" },
        { "{\"count\":4294967296}", "" },
        { "{\"count\":1.5}", "" },
        { "{\"large\":\"-1\"}", "" },
        { "{\"large\":true}", "" },
        { "{\"at\":\"soon\"}", "" },
        { "{\"at\":7}", "" },
        { "{\"colour\":\"green\"}", "" },
        { "{\"parts\":{}}", "" },
        { "{\"parts\":[7,{\"name\":\"a\"},null]}", ",\"parts\":[{\"name\":\"a\"}]" },
        { "{\"parts\":[{\"name\":7}]}", ",\"parts\":[{}]" },
        { "{\"part\":[]}", "" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *text = str_format("%.*s,\"more\":1}", (int) strlen(cases[i].text) - 1, cases[i].text);
        _cleanup_(freep) char *wanted =
            str_format("{\"number\":0,\"large\":\"0\",\"colour\":\"red\"%s,\"more\":1}", cases[i].left);
        Thing t;

        if (read_thing(text, &t) != -EINVAL)
            fail_msg("taken: %s", text);
        assert_written(&t, wanted);
        json_done(&type, &t);
    }
}

/* What is wrong inside of an object counts as absent there. */
static void test_wrong_inside(void **state)
{
    Thing t;

    (void) state;
    assert_int_equal(read_thing("{\"part\":{\"name\":7,\"x\":1},\"list\":[1,\"a\",null]}", &t), 0);
    assert_written(&t, "{\"list\":[\"a\"],\"number\":0,\"large\":\"0\",\"colour\":\"red\",\"part\":{\"x\":1}}");
    json_done(&type, &t);
}

static void test_lists(void **state)
{
    Thing t = {};

    (void) state;
    for (unsigned i = 0; i < 20; i++) {
        _cleanup_(freep) char *name = str_format("%u", i);
        Part *p = json_list_add(&part_type, &t.parts, &t.n_parts);

        assert_null(p->name);
        assert_int_equal(json_set(&p->name, name), 0);
    }
    json_list_remove(&part_type, t.parts, &t.n_parts, 0);
    json_list_remove(&part_type, t.parts, &t.n_parts, 18);
    assert_int_equal(t.n_parts, 18);
    assert_string_equal(t.parts[0].name, "1");
    assert_string_equal(t.parts[17].name, "18");
    assert_int_equal(json_set(&t.parts[0].name, t.parts[17].name), 0);
    assert_string_equal(t.parts[0].name, "18");
    assert_int_equal(json_set(&t.parts[0].name, NULL), 0);
    assert_null(t.parts[0].name);
    json_done(&type, &t);
    assert_null(t.parts);
    assert_int_equal(t.n_parts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_what_is_absent), cmocka_unit_test(test_wrong_kinds),
        cmocka_unit_test(test_wrong_inside), cmocka_unit_test(test_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
