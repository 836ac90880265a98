/* SPDX-License-Identifier: MIT */
/* current.json: it comes back as it was, whatever version wrote it; a damaged one is told, and none is no failure. */
#include "tests/unit/agent-root.h"

#include "mgmt-agent/state/current.h"

#define CURRENT AGENT_STATE_DIR "/current.json"

/* As agents write it, and with members of one that is not written yet. */
#define WHOLE                                                                                                          \
    "{\"version\":\"7\",\"id\":\"d-7\",\"sha256\":\"s\",\"inputs\":\"i\",\"at\":\"2026-01-02T03:04:05.678Z\","         \
    "\"name\":\"secbox\",\"previous\":\"6\",\"networks\":{\"n\":{}},\"volumes\":{},\"services\":[{\"name\":\"web\","   \
    "\"container\":\"secbox_web_1\",\"id\":\"01\",\"image\":\"r/"                                                      \
    "web:1\",\"imageId\":\"02\",\"previousImageId\":\"03\",\"previousImage\":\"r/web:0\","                             \
    "\"labels\":{\"a\":\"b\"},\"hash\":\"h\",\"state\":\"running\",\"staticDir\":\"/s\",\"pidFile\":\"/p\","           \
    "\"health\":\"healthy\",\"pid\":7,\"startTicks\":\"18446744073709551615\",\"healthIntervalUsec\":\"0\","           \
    "\"hostPorts\":[\"80\"],"                                                                                          \
    "\"environment\":{\"A\":\"1\"},\"config\":{\"restart\":\"no\"},\"ordered\":\"sha256:0\",\"cpus\":[1]},"            \
    "{\"name\":\"once\",\"state\":\"exited\",\"pid\":0,\"startTicks\":\"0\",\"healthIntervalUsec\":\"0\"}],"           \
    "\"signedBy\":{\"key\":[1]}}"

static Current *load(void)
{
    _cleanup_(error_done) Error err = {};
    Current *c = NULL;
    int r = current_load(&c, &err);

    if (r < 0)
        fail_msg("%s", error_message(&err, r));
    return c;
}

static void test_round_trip(void **state)
{
    _cleanup_(current_freep) Current *c = NULL, *copy = NULL;
    _cleanup_(freep) char *text = NULL;

    (void) state;
    agent_root_write(CURRENT, NULL);
    assert_null(load());
    agent_root_write(CURRENT, WHOLE);
    c = load();
    assert_int_equal(c->n_services, 2);
    assert_string_equal(current_find(c, "web")->image_id, "02");
    assert_true(current_service_runs(current_find(c, "web")));
    assert_false(current_service_runs(current_find(c, "once")));
    assert_null(current_find(c, "other"));
    assert_null(current_find(c, NULL));
    assert_null(current_find(NULL, "web"));
    agent_root_write(CURRENT, NULL);
    copy = current_copy(c);
    assert_int_equal(current_save(copy, NULL), 0);
    text = agent_root_read(CURRENT);
    assert_string_equal(text, WHOLE);
}

static void test_damaged(void **state)
{
    static const char *const damaged[] = { "", "{", "[]", "null", "{\"version\":\"7\",\"version\":\"8\"}", "\xff" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
        _cleanup_(error_done) Error err = {};
        Current *c = NULL;

        agent_root_write(CURRENT, damaged[i]);
        if (current_load(&c, &err) >= 0)
            fail_msg("taken: %s", damaged[i]);
        assert_string_equal(error_id(&err), "store.read");
        assert_null(c);
    }
}

/* What was there before is worth more than one member of it. */
static void test_a_wrong_member_counts_as_absent(void **state)
{
    _cleanup_(current_freep) Current *c = NULL;

    (void) state;
    agent_root_write(CURRENT,
                     "{\"version\":7,\"sha256\":\"s\",\"at\":\"yesterday\",\"services\":[{\"name\":\"web\",\"pid\":"
                     "\"7\"},7]}");
    c = load();
    assert_null(c->version);
    assert_string_equal(c->sha256, "s");
    assert_int_equal(c->n_services, 1);
    assert_int_equal(c->services[0].pid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_a_wrong_member_counts_as_absent),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}
