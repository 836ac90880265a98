/* SPDX-License-Identifier: MIT */
/* What guards are shown of what cameras have recognised: in place of what came before, with its picture, and for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/lan/notices.h"

#define NOW (1000 * USEC_PER_SEC)

static Sighting plate(unsigned number, const char *text)
{
    Sighting s = { .camera = "entrada", .score = READING_NO_SCORE, .at = 1700000000 * USEC_PER_SEC };
    _cleanup_(freep) char *id = str_format("%u.5-a", 1700000000 + number);

    memcpy(s.id, id, strlen(id));
    memcpy(s.text, text, strlen(text));
    return s;
}

static void put_at(Notices *n, const Sighting *s, const char *verdict, usec_t now)
{
    cJSON *what = cJSON_CreateObject();

    assert_int_equal(json_add_string(what, "verdict", verdict), 0);
    notices_put(n, s, what, now);
}

static void put(Notices *n, const Sighting *s, const char *verdict)
{
    put_at(n, s, verdict, NOW);
}

static char *described(const Notices *n, usec_t now)
{
    _cleanup_(cJSON_Deletep) cJSON *list = notices_describe(n, now);

    return json_print(list);
}

static void test_one_notice(void **state)
{
    (void) state;
    _cleanup_(notices_done) Notices n = {};
    Sighting s = plate(1, "ABC123");

    put(&n, &s, "DESCONOCIDO");
    assert_null(notices_picture(&n, s.id));
    assert_true(notices_set_picture(&n, s.id, "jpeg", 4));
    assert_false(notices_set_picture(&n, "1700000009.5-a", "jpeg", 4));
    /* it turns out to be another; the picture is the same */
    s = plate(1, "ABO158");
    s.score = 0.5;
    s.sure = true;
    put(&n, &s, "VETADO");
    _cleanup_(freep) char *text = described(&n, NOW);
    assert_string_equal(text,
                        "[{\"verdict\":\"VETADO\",\"id\":\"1700000001.5-a\",\"kind\":\"plate\",\"camera\":\"entrada\","
                        "\"read\":\"ABO158\",\"at\":\"2023-11-14T22:13:20.000Z\",\"sure\":true,\"score\":0.5,"
                        "\"picture\":true}]");
    assert_int_equal(notices_picture(&n, s.id)->len, 4);
    /* the face of who drives it is another notice */
    s.kind = SIGHTING_FACE;
    assert_false(notices_drop(&n, &s));
    s.kind = SIGHTING_PLATE;
    assert_true(notices_drop(&n, &s));
    _cleanup_(freep) char *none = described(&n, NOW);
    assert_string_equal(none, "[]");
}

static void test_no_more_than_so_many_for_so_long(void **state)
{
    (void) state;
    _cleanup_(notices_done) Notices n = {};

    for (unsigned i = 0; i < NOTICES_MAX + 5; i++) {
        const Sighting s = plate(i, "ABC123");
        put(&n, &s, "VETADO");
        assert_true(notices_set_picture(&n, s.id, "jpeg", 4));
    }
    assert_int_equal(n.n, NOTICES_MAX);
    assert_string_equal(n.list[0].of.id, "1700000036.5-a");
    assert_null(notices_picture(&n, "1700000004.5-a"));
    assert_non_null(notices_picture(&n, "1700000005.5-a"));
    _cleanup_(freep) char *late = described(&n, NOW + NOTICE_KEPT + 1);
    assert_string_equal(late, "[]");
}

/* A car that stood there for a while may turn out to be another: that is shown as long as what is new. */
static void test_what_changes_late_is_shown(void **state)
{
    (void) state;
    _cleanup_(notices_done) Notices n = {};
    const Sighting s = plate(1, "ABO158"), later = plate(2, "QQQ777");
    const usec_t late = NOW + NOTICE_KEPT + 1;

    put(&n, &s, "AUTORIZADO");
    assert_true(notices_set_picture(&n, s.id, "jpeg", 4));
    put_at(&n, &later, "VETADO", NOW + 1);
    assert_non_null(notices_find(&n, &s, NOW + NOTICE_KEPT));
    assert_null(notices_find(&n, &s, late));
    put_at(&n, &s, "VETADO", late);
    assert_int_equal(n.n, 2);
    assert_string_equal(n.list[0].of.id, s.id);
    assert_string_equal(json_string(notices_find(&n, &s, late)->what, "verdict"), "VETADO");
    /* its picture is another one by now */
    assert_null(notices_picture(&n, s.id));
    _cleanup_(freep) char *both = described(&n, late);
    assert_non_null(strstr(both, "ABO158"));
    assert_non_null(strstr(both, "QQQ777"));
    _cleanup_(freep) char *one = described(&n, late + NOTICE_KEPT);
    assert_non_null(strstr(one, "ABO158"));
    assert_null(strstr(one, "QQQ777"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_notice),
        cmocka_unit_test(test_no_more_than_so_many_for_so_long),
        cmocka_unit_test(test_what_changes_late_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
