/* SPDX-License-Identifier: MIT */
/* Which files are a project's own, and which names may become a part of their paths. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "lib/base/fileio.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/snapshot-store.h"

static void assert_path(const char *file, const char *expected)
{
    _cleanup_(freep) char *path = project_path(file), *wanted = path_in_root(expected);

    assert_string_equal(path, wanted);
}

static void test_the_project_of_a_file(void **state _unused_)
{
    static const struct {
        const char *name;
        bool has_it;
        const char *current, *expected;
    } cases[] = {
        { NULL, true, "null", NULL },
        { "secbox", true, "null", NULL },
        { "My.Shop", false, "null", NULL }, /* what cannot be a project's name */
        { "shop", false, "null", "shop" },  /* the box's own is nothing yet */
        { "shop", false, "{\"version\":\"3\",\"fileName\":\"\"}", "shop" },
        { "shop", false, "{\"version\":\"3\",\"fileName\":\"cameras\"}", "shop" },
        { "shop", false, "{\"version\":\"3\",\"fileName\":\"shop\"}", NULL }, /* it is the box's own so far */
        { "shop", true, "{\"version\":\"3\",\"fileName\":\"shop\"}", NULL },
        { "shop", false, "{\"version\":\"3\"}", NULL }, /* an older agent does not say what it was */
        { "shop", true, "{\"version\":\"3\"}", "shop" },
        { "shop", false, NULL, NULL },
        { "shop", true, NULL, "shop" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *current = cases[i].current ? cJSON_Parse(cases[i].current) : NULL;
        const char *project = project_of_file(cases[i].name, cases[i].has_it, current);

        if (!str_equal(project, cases[i].expected))
            fail_msg("%zu: %s", i, project ? project : "the box's own");
    }
}

static void test_names(void **state)
{
    static const char *const good[] = { "a", "0", "blog", "my-app_2", "a123456789012345678901234567890123456789" },
                             *const bad[] = { "",    "-a",       "_a",  "A",
                                              "a.b", "a/b",      "..",  ".",
                                              "a b", "\303\244", "a\n", "a1234567890123456789012345678901234567890" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        if (project_name_check(good[i], NULL) < 0)
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(error_done) Error err = {};
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(bad[i]);

        assert_int_equal(project_name_check(bad[i], &err), -EINVAL);
        assert_string_equal(err.id, "project.bad-name");
        assert_true(project_is_own());
    }
    assert_int_equal(project_name_check(NULL, NULL), -EINVAL);
    assert_true(project_action_is_good("restart"));
    assert_false(project_action_is_good("Stop"));
    assert_false(project_action_is_good(NULL));
}

static void test_places(void **state)
{
    (void) state;
    assert_path("current.json", AGENT_STATE_DIR "/current.json");
    assert_path("snapshots/7.json", AGENT_STATE_DIR "/snapshots/7.json");
    {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter("blog");
        _cleanup_(freep) char *policy = project_policy_path(), *wanted = path_in_root(ETC_DIR "/policy.d/blog.json");

        assert_path("current.json", AGENT_STATE_DIR "/projects/blog/current.json");
        assert_path("snapshots/7.json", AGENT_STATE_DIR "/projects/blog/snapshots/7.json");
        assert_path("history.jsonl", AGENT_STATE_DIR "/projects/blog/history.jsonl");
        assert_path("journal.json", AGENT_STATE_DIR "/journal.json");
        assert_path("unacked.json", AGENT_STATE_DIR "/unacked.json");
        assert_path("order-floors.json", AGENT_STATE_DIR "/order-floors.json");
        assert_string_equal(policy, wanted);
        {
            _cleanup_(project_leave) ProjectScope inner _unused_ = project_enter(PROJECT_OWN_DEFAULT);

            assert_true(project_is_own());
        }
        assert_string_equal(project_selected(), "blog");
    }
    assert_string_equal(project_selected(), PROJECT_OWN_DEFAULT);
}

static void test_each_remembers_for_itself(void **state)
{
    _cleanup_(freep) char *projects = path_in_root(AGENT_STATE_DIR "/projects");
    _cleanup_(strv_freep) char **names = NULL, **none = NULL;
    uint64_t floor = 0;

    (void) state;
    assert_int_equal(project_list(&none), 0);
    assert_null(none);
    /* not to be read is not the same as empty: what the others need would be swept */
    assert_int_equal(file_write_atomic(projects, "", 0, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(project_list(&none), -ENOTDIR);
    assert_null(none);
    assert_int_equal(unlink(projects), 0);
    assert_int_equal(store_save_floor(3, NULL), 0);
    assert_false(project_is_known("blog"));
    {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter("blog");

        assert_int_equal(project_make_folder(NULL), 0);
        assert_int_equal(store_load_floor(&floor, NULL), 0);
        assert_int_equal(floor, 0);
        assert_int_equal(store_save_floor(8, NULL), 0);
        assert_false(project_is_stopped());
        assert_int_equal(project_note_stopped(true, NULL), 0);
        assert_true(project_is_stopped());
    }
    assert_false(project_is_stopped());
    assert_int_equal(store_load_floor(&floor, NULL), 0);
    assert_int_equal(floor, 3);
    assert_int_equal(project_list(&names), 0);
    assert_int_equal(strv_length(names), 1);
    assert_string_equal(names[0], "blog");
    assert_true(project_is_known("blog") && project_is_known("secbox") && !project_is_known("../etc"));
    {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter("blog");
        _cleanup_(cJSON_Deletep) cJSON *snapshot = cJSON_CreateObject();

        assert_int_equal(store_save_snapshot("8", snapshot, NULL), 0);
        assert_int_equal(project_forget_deployed(NULL), 0);
        assert_int_equal(store_highest_snapshot(), 0);
        assert_int_equal(store_load_floor(&floor, NULL), 0);
        assert_int_equal(floor, 8);
    }
}

static void test_the_journal_names_its_project(void **state)
{
    _cleanup_(journal_done) Journal j = {}, again = {};
    _cleanup_(error_done) Error err = {};

    (void) state;
    assert_int_equal(json_set(&j.project_name, "blog"), 0);
    assert_false(journal_is_of_selected(&j));
    assert_int_equal(journal_save(&j, NULL), 0);
    assert_int_equal(journal_load(&again, NULL), 0);
    {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter("blog");

        assert_true(journal_is_of_selected(&again));
    }
    /* it becomes a path */
    agent_root_write(AGENT_STATE_DIR "/journal.json", "{\"state\":\"applying\",\"projectName\":\"../x\"}");
    Journal bad = {};
    assert_true(journal_load(&bad, &err) < 0);
    assert_string_equal(err.id, "journal.corrupt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_project_of_a_file),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_each_remembers_for_itself),
        cmocka_unit_test(test_the_journal_names_its_project),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}
