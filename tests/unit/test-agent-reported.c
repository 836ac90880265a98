/* SPDX-License-Identifier: MIT */
/* What the cloud is told of changes that it did not order. */
#include "tests/unit/agent-root.h"

#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/reported-changes.h"
#include "mgmt-agent/state/snapshot-store.h"

static void add(const char *id, const char *version)
{
    _cleanup_(cJSON_Deletep) cJSON *result = cJSON_CreateObject();

    assert_int_equal(json_add_string(result, "id", id), 0);
    assert_int_equal(json_add_string(result, "version", version), 0);
    assert_int_equal(store_add_history(result, NULL), 0);
}

static void expect(const char *id)
{
    _cleanup_(cJSON_Deletep) cJSON *next = NULL;

    assert_int_equal(reported_next(&next, NULL), 0);
    if (id)
        assert_string_equal(json_string(next, "id"), id);
    else
        assert_null(next);
}

static void test_each_once_and_in_order(void **state)
{
    (void) state;
    add("past", "local-1");
    assert_int_equal(reported_begin(NULL), 0);
    expect(NULL);
    add("a", "local-2");
    add("cloud", "7");
    add("b", "local-3");
    expect("a");
    assert_int_equal(reported_begin(NULL), 0);
    expect("a");
    assert_int_equal(reported_note(NULL, "a", NULL), 0);
    expect("b");
    assert_int_equal(reported_note(NULL, "b", NULL), 0);
    expect(NULL);
    add("c", "local-4");
    expect("c");
}

static void test_each_project_is_told_for_itself(void **state)
{
    (void) state;
    assert_int_equal(reported_begin(NULL), 0);
    {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter("blog");

        assert_int_equal(project_make_folder(NULL), 0);
        add("of-blog", "local-5");
        add("of-blog-too", "local-7");
    }
    add("own", "local-6");
    expect("own");
    assert_int_equal(reported_note(NULL, "own", NULL), 0);
    expect("of-blog");
    assert_int_equal(reported_note("blog", "of-blog", NULL), 0);
    expect("of-blog-too");
    {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter("blog");

        assert_int_equal(project_forget_deployed(NULL), 0);
    }
    expect("of-blog-too"); /* what was removed since is still to be told */
    assert_int_equal(reported_note("blog", "of-blog-too", NULL), 0);
    expect(NULL);
}

static void test_a_box_without_a_past(void **state)
{
    (void) state;
    assert_int_equal(reported_begin(NULL), 0);
    expect(NULL);
    add("first", "local-1");
    expect("first");
}

/* Twice is better than never: the cloud knows what it has. */
static void test_a_damaged_mark(void **state)
{
    (void) state;
    add("a", "local-1");
    agent_root_write(AGENT_STATE_DIR "/reported.json", "{damaged");
    assert_int_equal(reported_begin(NULL), 0);
    expect("a");
    assert_int_equal(reported_note(NULL, "not in the history any more", NULL), 0);
    expect("a");
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, agent_root_make, agent_root_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_each_once_and_in_order),
        WITH_ROOT(test_a_box_without_a_past),
        WITH_ROOT(test_a_damaged_mark),
        WITH_ROOT(test_each_project_is_told_for_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
