/* SPDX-License-Identifier: MIT */
/* What this box remembers of images that came because of it. */
#include "tests/unit/agent-root.h"

#include "mgmt-agent/state/pulled-images.h"

#define PULLED AGENT_STATE_DIR "/pulled-images.json"

static void note(PulledImages *p, const char *text)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_of(text);
    _cleanup_(current_freep) Current *c = current_from_json(o);

    assert_int_equal(pulled_note_snapshot(p, c), 0);
}

static void test_remembered(void **state)
{
    _cleanup_(pulled_done) PulledImages pulled = {}, again = {};
    _cleanup_(freep) char *text = NULL;

    (void) state;
    agent_root_write(PULLED, "{damaged");
    assert_int_equal(pulled_load(&pulled), 0);
    assert_int_equal(pulled_add_image(&pulled, "a", "r/web:1"), 0);
    assert_int_equal(pulled_add_image(&pulled, "a", "r/other:1"), 0);
    note(&pulled, "{\"version\":\"7\",\"services\":[{\"imageId\":\"x\"}]}");
    note(&pulled, "{\"version\":\"8\",\"services\":[{\"imageId\":\"a\"},{\"name\":\"no image\"},{\"imageId\":\"b\"}]}");
    note(&pulled, "{\"version\":\"7\",\"services\":[{\"imageId\":\"c\"}]}");
    assert_int_equal(pulled_save(&pulled, NULL), 0);
    text = agent_root_read(PULLED);
    assert_string_equal(text, "{\"images\":[{\"imageId\":\"a\",\"reference\":\"r/web:1\"}],"
                              "\"snapshots\":{\"8\":[\"a\",\"b\"],\"7\":[\"c\"]}}");
    pulled_forget();
    assert_int_equal(pulled_load(&again), 0);
    assert_int_equal(again.n_images, 0);
    /* an older agent takes both for missing when one of them is */
    assert_int_equal(pulled_save(&again, NULL), 0);
    free(text);
    text = agent_root_read(PULLED);
    assert_string_equal(text, "{\"images\":[],\"snapshots\":{}}");
}

static void test_keeps_what_it_does_not_know(void **state)
{
    static const char whole[] = "{\"images\":[{\"imageId\":\"a\",\"size\":7}],\"snapshots\":{},\"swept\":true}";
    _cleanup_(pulled_done) PulledImages pulled = {};
    _cleanup_(freep) char *text = NULL;

    (void) state;
    agent_root_write(PULLED, whole);
    assert_int_equal(pulled_load(&pulled), 0);
    assert_int_equal(pulled_save(&pulled, NULL), 0);
    text = agent_root_read(PULLED);
    assert_string_equal(text, whole);
}

/* One without the other says nothing. */
static void test_damaged(void **state)
{
    static const char *const texts[] = { "",
                                         "[]",
                                         "{}",
                                         "{\"images\":[{\"imageId\":\"a\"}]}",
                                         "{\"images\":[{\"imageId\":\"a\"}],\"snapshots\":[]}",
                                         "{\"images\":{},\"snapshots\":{\"7\":[\"a\"]}}" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(pulled_done) PulledImages pulled = {};

        agent_root_write(PULLED, texts[i]);
        assert_int_equal(pulled_load(&pulled), 0);
        if (pulled.n_images != 0 || pulled.snapshots->child)
            fail_msg("%s", texts[i]);
    }
    agent_root_write(PULLED, NULL);
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_remembered),
                                        cmocka_unit_test(test_keeps_what_it_does_not_know),
                                        cmocka_unit_test(test_damaged), cmocka_unit_test(test_whose_names) };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}
