/* SPDX-License-Identifier: MIT */
/* What this box remembers of images that came because of it. */
#include "tests/unit/agent-root.h"

#include "mgmt-agent/state/pulled-images.h"

static void test_remembered(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *pulled = NULL;
    _cleanup_(cJSON_Deletep) cJSON *again = NULL;
    _cleanup_(cJSON_Deletep) cJSON *services =
        json_of("[{\"imageId\":\"a\"},{\"name\":\"no image\"},{\"imageId\":\"b\"}]");
    _cleanup_(cJSON_Deletep) cJSON *later = json_of("[{\"imageId\":\"c\"}]");
    _cleanup_(cJSON_Deletep) cJSON *wanted = json_of("{\"images\":[{\"imageId\":\"a\",\"reference\":\"r/web:1\"}],"
                                                     "\"snapshots\":{\"7\":[\"c\"],\"8\":[\"a\",\"b\"]}}");

    (void) state;
    agent_root_write(AGENT_STATE_DIR "/pulled-images.json", "{damaged");
    assert_int_equal(pulled_load(&pulled, NULL), 0);
    assert_int_equal(pulled_add_image(pulled, "a", "r/web:1"), 0);
    assert_int_equal(pulled_add_image(pulled, "a", "r/other:1"), 0);
    assert_int_equal(pulled_note_snapshot(pulled, "7", services), 0);
    assert_int_equal(pulled_note_snapshot(pulled, "8", services), 0);
    assert_int_equal(pulled_note_snapshot(pulled, "7", later), 0);
    assert_int_equal(pulled_save(pulled, NULL), 0);
    assert_int_equal(pulled_load(&again, NULL), 0);
    assert_true(cJSON_Compare(again, wanted, true));
    pulled_forget();
    cJSON_Delete(again);
    assert_int_equal(pulled_load(&again, NULL), 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(again, "images")), 0);
}

/* Names as podman 4.3 lists them. */
static void test_whose_names(void **state)
{
    static const struct {
        const char *names, *reference;
        bool nameless;
    } cases[] = {
        { "[]", "r.example/web:1", true },
        { "null", NULL, true },
        { "[\"r.example/web@sha256:00\"]", "r.example/web@sha256:00", true },
        { "[\"r.example/web@sha256:00\",\"localhost/kept:12\"]", "r.example/web@sha256:00", true },
        { "[\"r.example/web:1\"]", "r.example/web:1", true },
        { "[\"docker.io/library/web:latest\"]", "web", true },
        { "[\"r.example:5000/a/web:latest\"]", "r.example:5000/a/web", true },
        { "[\"r.example/web:2\"]", "r.example/web:1", false },
        { "[\"r.example/other-web:1\"]", "web:1", false },
        { "[\"r.example/web:1\",\"localhost/mine:1\"]", "r.example/web:1", false },
        { "[\"localhost/kept-by-me:1\"]", "r.example/web:1", false },
        { "[\"r.example/web:1\"]", NULL, false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *names = cJSON_Parse(cases[i].names);

        if (pulled_is_nameless(names, cases[i].reference, "localhost/kept") != cases[i].nameless)
            fail_msg("%s of %s", cases[i].names, cases[i].reference ? cases[i].reference : "nobody");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_remembered), cmocka_unit_test(test_whose_names) };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}
