/* SPDX-License-Identifier: MIT */
/* Whether sessions are recorded, and what a certificate has run then. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "gateway/sessions/recording-policy.h"

#define KEY "ef6Ieo62TU0xaemqGs6UtCutI-ufzf6qxmunWLMFiiw"

static void what_the_environment_says(void **state)
{
    static const struct {
        const char *mode, *key, *means;
        int r;
    } cases[] = {
        { NULL, NULL, NULL, 0 },
        { "", KEY, NULL, 0 },
        { "no", NULL, NULL, 0 },
        { "wanted", KEY, "wanted", 0 },
        { "required", KEY, "required", 0 },
        { "Required", KEY, NULL, -EINVAL },
        { "wanted", NULL, "wanted", -EINVAL },
        { "wanted", "", "wanted", -EINVAL },
        { "wanted", KEY "\n", "wanted", -EINVAL },
        { "wanted", "ef6Ieo62TU0xaemqGs6UtCutI-ufzf6qxmunWLMFii$", "wanted", -EINVAL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        RecordingPolicy p;

        assert_int_equal(recording_policy_read(cases[i].mode, cases[i].key, &p, &err), cases[i].r);
        if (cases[i].r < 0)
            assert_string_equal(error_id(&err), "config.record-sessions");
        else if (cases[i].means)
            assert_string_equal(p.mode, cases[i].means);
        else
            assert_null(p.mode);
    }
}

static void break_glass_gets_in_unrecorded(void **state)
{
    _cleanup_(freep) char *none = NULL, *required = NULL, *glass = NULL;
    RecordingPolicy p = {};

    (void) state;
    assert_int_equal(recording_policy_command(&p, "g-1", 7, true, &none), 0);
    assert_null(none);
    assert_null(recording_policy_mode(&p, true));
    assert_int_equal(recording_policy_read("required", KEY, &p, NULL), 0);
    assert_string_equal(recording_policy_mode(&p, false), "required");
    assert_string_equal(recording_policy_mode(&p, true), "wanted");
    assert_int_equal(recording_policy_command(&p, "g-1", 7, false, &required), 0);
    assert_int_equal(recording_policy_command(&p, "g-1", 7, true, &glass), 0);
    assert_non_null(strstr(required, " --grant g-1 --serial 7 --key " KEY " --required; fi; "));
    assert_non_null(strstr(required, "; exit 1"));
    assert_non_null(strstr(glass, " --grant g-1 --serial 7 --key " KEY "; fi; "));
    assert_null(strstr(glass, "exit 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_environment_says),
        cmocka_unit_test(break_glass_gets_in_unrecorded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
