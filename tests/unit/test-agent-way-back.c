/* SPDX-License-Identifier: MIT */
/* Where a rollback goes, and where it never goes. */
#include "tests/unit/agent-root.h"

#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/way-back.h"

/* One word a change, oldest first: VERSION=TEXT was applied, VERSION<TEXT is a rollback to it, VERSION!TEXT failed and was rolled
 * back, VERSION?TEXT was not confirmed, VERSION+TEXT is an update of its images. */
static cJSON *history_of(const char *story)
{
    _cleanup_(freep) char *copy = strdup(story);
    cJSON *history = cJSON_CreateArray();
    char *rest = copy;

    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        cJSON *result = cJSON_CreateObject();
        char *sign = strpbrk(word, "=<!?+"), what = *sign;
        bool failed = what == '!' || what == '?';

        *sign = '\0';
        assert_int_equal(json_add_string(result, "version", word), 0);
        assert_int_equal(json_add_string(result, "sha256", sign + 1), 0);
        assert_int_equal(json_add_string(result, "kind", what == '<' ? "rollback" : what == '+' ? "update" : NULL), 0);
        assert_int_equal(json_add_string(result, "outcome", failed ? "rolled-back" : "done"), 0);
        if (failed)
            assert_int_equal(json_add_string(result, "failedPhase", what == '?' ? "confirm" : "prove"), 0);
        assert_true(cJSON_InsertItemInArray(history, 0, result));
    }
    return history;
}

static char *const all[] = { "1", "2", "3", "4", "5", "a", "b", "c", NULL };

static void test_where_it_goes(void **state)
{
    static const struct {
        const char *story, *here, *leaving, *goes_to;
    } cases[] = {
        { "1=A 2=B", "B", NULL, "1" },
        { "1=A", "A", NULL, NULL },
        { "", "A", NULL, NULL },
        { "1=A 2=B 3=C", "C", NULL, "2" },
        /* while going back from B to A: what comes after that */
        { "1=A 2=B", "A", "B", NULL },
        { "1=A 2=B 3=C", "B", "C", "1" },
        /* once more: further back, never to what was left */
        { "1=A 2=B a<A", "A", NULL, NULL },
        { "1=A 2=B 3=C a<B", "B", NULL, "1" },
        { "1=A 2=B 3=C a<B b<A", "A", NULL, NULL },
        { "1=A 2=B 3=C a<A", "A", NULL, NULL },
        /* a push on top of a rollback */
        { "1=A 2=B a<A 3=C", "C", NULL, "a" },
        { "1=A 2=B 3=C a<B b<A 4=D", "D", NULL, "b" },
        /* what was left is good again once it was applied again */
        { "1=A 2=B a<A 3=B 4=C", "C", NULL, "3" },
        /* what failed never ran, so there is no way back to it */
        { "1=A 2!B 3=C", "C", NULL, "1" },
        { "1=A a<B", "A", NULL, NULL },
        /* the same again is no step */
        { "1=A 2=B 3=B", "B", NULL, "1" },
        /* updates change no snapshot */
        { "1=A 2=B 3+B 4+A", "B", NULL, "1" },
        /* not known: whatever ran last */
        { "1=A 2=B", "Z", NULL, "2" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *history = history_of(cases[i].story);
        const char *to = way_back_find(history, cases[i].here, cases[i].leaving, all);

        if (!str_equal(to, cases[i].goes_to))
            fail_msg("\"%s\", from %s: %s, not %s", cases[i].story, cases[i].here, to ? to : "nowhere",
                     cases[i].goes_to ? cases[i].goes_to : "nowhere");
    }
}

static void test_only_to_what_is_kept(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *history = history_of("1=A 2=B 3=C 4=D");
    char *const kept[] = { "1", "4", NULL };

    (void) state;
    assert_string_equal(way_back_find(history, "D", NULL, kept), "1");
    assert_null(way_back_find(history, "D", NULL, NULL));
}

static void test_what_is_bad(void **state)
{
    static const struct {
        const char *story, *version, *text, *by; /* NULL: it is not bad */
    } cases[] = {
        { "1=A 2=B a<A", "2", "B", "a" },
        { "1=A 2=B a<A", "1", "A", NULL },
        { "1=A 2=B a<A 3=B", "2", "B", NULL },
        { "1=A 2=B a<A 3=B 4=C", "3", "B", NULL },
        { "1=A 2!B", "2", "B", "2" },
        { "1=A 2!B 3=B", "2", "B", NULL },
        { "1=A 2?B", "2", "B", NULL },
        /* it ran well, and failed later with other variables: that one is bad, not the text */
        { "1=A 2=B 3!A", "1", "A", NULL },
        { "1=A 2=B 3!A", "3", "A", "3" },
        /* a rollback that failed */
        { "1=A 2=B a<A b<B", "a", "A", "b" },
        { "1=A 2=B", "9", "Z", NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *history = history_of(cases[i].story);
        const char *by = json_string(way_back_verdict(history, cases[i].version, cases[i].text), "version");

        if (!str_equal(by, cases[i].by))
            fail_msg("\"%s\", version %s: %s, not %s", cases[i].story, cases[i].version, by ? by : "not bad",
                     cases[i].by ? cases[i].by : "not bad");
    }
}

static void test_what_is_kept(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *snapshot = json_of("{\"compose\":\"services: {}\"}");
    _cleanup_(strv_freep) char **none = NULL, **kept = NULL;

    (void) state;
    assert_int_equal(store_list_snapshots(&none), 0);
    assert_int_equal(strv_length(none), 0);
    assert_int_equal(store_save_snapshot("7", snapshot, NULL), 0);
    assert_int_equal(store_save_snapshot("local-12", snapshot, NULL), 0);
    assert_int_equal(store_list_snapshots(&kept), 0);
    assert_int_equal(strv_length(kept), 2);
    assert_true(strv_contains(kept, "7") && strv_contains(kept, "local-12"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_it_goes),
        cmocka_unit_test(test_only_to_what_is_kept),
        cmocka_unit_test(test_what_is_bad),
        cmocka_unit_test_setup_teardown(test_what_is_kept, agent_root_make, agent_root_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
