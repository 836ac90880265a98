/* SPDX-License-Identifier: MIT */
/* Which files are a project's own, and which names may become a part of their paths. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "mgmt-agent/host/podman-stores.h"
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
        assert_true(project_is_removed());
        assert_int_equal(store_load_floor(&floor, NULL), 0);
        assert_int_equal(floor, 8);
    }
}

/* The one that was removed first is forgotten first, and those of another age by themselves. */
static void test_what_was_removed_is_kept_for_a_while(void **state)
{
    _cleanup_(strv_freep) char **names = NULL, **all = NULL;
    time_t now = time(NULL);

    (void) state;
    for (int i = 0; i < PROJECTS_REMOVED_MAX + 4; i++) {
        char name[16];
        snprintf(name, sizeof(name), "r%d", i);
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(name);
        time_t at = i == 1 ? 3600 : now - i * 3600L - (i == 3 ? 200 * 86400L : 0);

        assert_int_equal(project_make_folder(NULL), 0);
        assert_int_equal(project_forget_deployed(NULL), 0);
        assert_true(project_is_removed() && project_is_known(name));
        _cleanup_(freep) char *mark = project_path("removed.json");
        assert_int_equal(utimensat(AT_FDCWD, mark, (struct timespec[]) { { at, 0 }, { at, 0 } }, 0), 0);
    }
    project_sweep_removed();
    assert_int_equal(project_list_all(&all), 0);
    assert_false(strv_contains(all, "r1")); /* older than all others, if the clock was right */
    assert_false(strv_contains(all, "r3"));
    assert_true(strv_contains(all, "r0") && strv_contains(all, "r4"));
    assert_int_equal(project_list(&names), 0);
    assert_false(strv_contains(names, "r0"));
    {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter("r0");

        assert_int_equal(project_make_folder(NULL), 0);
        assert_false(project_is_removed());
    }
}

static void test_so_many_and_no_more(void **state)
{
    _cleanup_(error_done) Error err = {};

    (void) state;
    for (int i = 0; i < PROJECTS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%d", i);
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(name);

        assert_int_equal(project_make_folder(NULL), 0);
    }
    assert_int_equal(project_check_room(NULL), 0);
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter("one-more");
    assert_int_equal(project_make_folder(&err), -E2BIG);
    assert_string_equal(err.id, "project.too-many");
}

static void test_other_stores_of_images(void **state)
{
    (void) state;
    assert_false(storage_conf_names_other_stores(""));
    assert_false(storage_conf_names_other_stores("# additionalimagestores = ['/a']\n[storage.options]\nx = '/b'\n"));
    assert_false(storage_conf_names_other_stores("additionalimagestores = [\n# '/a',\n]\nmount_program = '/b'\n"));
    assert_true(storage_conf_names_other_stores("  additionalimagestores=[ \"/a\" ]"));
    assert_true(storage_conf_names_other_stores("additionalimagestores = [\n# no\n'/a'\n]\n"));
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

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, agent_root_make, agent_root_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_project_of_a_file),
        WITH_ROOT(test_names),
        WITH_ROOT(test_places),
        WITH_ROOT(test_each_remembers_for_itself),
        WITH_ROOT(test_what_was_removed_is_kept_for_a_while),
        WITH_ROOT(test_so_many_and_no_more),
        WITH_ROOT(test_other_stores_of_images),
        WITH_ROOT(test_the_journal_names_its_project),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
