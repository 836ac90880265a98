/* SPDX-License-Identifier: MIT */
/* Enrolled faces: what Frigate calls them, and what of its list is ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/faces/face-list.h"

#define ID "018f3a52-7c11-7d3e-9a45-2f60c1d8e001"
#define SHA256 "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define NAME "secbox_018f3a527c117d3e9a452f60c1d8e001_9f86d081"
#define OTHER "secbox_118f3a527c117d3e9a452f60c1d8e001_9f86d081"

static void test_names(void **state)
{
    (void) state;
    static const char *const foreign[] = {
        "Ana",
        "",
        ID,
        "secbox_",
        "secbox_018f3a527c117d3e9a452f60c1d8e001",
        NAME "0",
        "secbox_018f3a527c117d3e9a452f60c1d8e001-9f86d081",
        "secbox_018F3a527c117d3e9a452f60c1d8e001_9f86d081",
        "secbox_../a527c117d3e9a452f60c1d8e00001_9f86d081",
        "Secbox_018f3a527c117d3e9a452f60c1d8e001_9f86d081",
    };
    char name[FACE_NAME_SIZE], id[UUID_SIZE] = "as it was";

    assert_true(face_name_make(ID, SHA256, name));
    assert_string_equal(name, NAME);
    assert_true(face_name_is_ours(name) && strlen(name) <= 50);
    assert_false(face_name_make("x", SHA256, name) || face_name_make(ID, "9f", name) ||
                 face_name_make(NULL, NULL, name));
    assert_false(face_name_is_ours(NULL));
    for (size_t i = 0; i < ELEMENTSOF(foreign); i++)
        assert_false(face_name_is_ours(foreign[i]) || face_name_id(foreign[i], id));
    assert_string_equal(id, "as it was");
    assert_true(face_name_id(NAME, id));
    assert_string_equal(id, ID);
}

static void test_lists(void **state)
{
    (void) state;
    static const char text[] =
        "{\"train\": [\"1.webp\"], \"Ana\": [\"a.webp\"], \"" NAME "\": [\"b.webp\", \"../x\", 3, \"\"], "
        "\"" OTHER "\": [], \"secbox_\": []}";
    FaceEntry wanted[2] = { { .name = NAME }, { .name = OTHER } };
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    _cleanup_(freep) char *said = NULL;

    assert_int_equal(face_list_parse(text, strlen(text), &list, NULL), 0);
    said = json_print(list);
    assert_string_equal(said, "{\"" NAME "\":[\"b.webp\"],\"" OTHER "\":[]}");
    assert_null(face_list_find_extra(list, wanted, 2));
    assert_string_equal(face_list_find_extra(list, wanted, 1)->string, OTHER);
    assert_string_equal(face_list_find_extra(list, NULL, 0)->string, NAME);
    /* a folder without a picture is no face yet */
    assert_ptr_equal(face_list_find_missing(list, wanted, 2), &wanted[1]);
    wanted[1].refused = true;
    assert_null(face_list_find_missing(list, wanted, 2));
    assert_ptr_equal(face_list_find_missing(NULL, wanted, 2), &wanted[0]);
    /* one that cannot be registered keeps none back, and is tried again behind them */
    wanted[1].refused = false;
    wanted[0].tries = 1;
    assert_ptr_equal(face_list_find_missing(NULL, wanted, 2), &wanted[1]);
    wanted[1].tries = 1;
    assert_ptr_equal(face_list_find_missing(NULL, wanted, 2), &wanted[0]);
    assert_true(face_list_parse("[]", 2, &list, NULL) < 0 && face_list_parse("{", 1, &list, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_names), cmocka_unit_test(test_lists) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
