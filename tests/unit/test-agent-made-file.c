/* SPDX-License-Identifier: MIT */
/* Files that the agent writes for containers: where they are, who may read them, and when they go. */
#include "tests/unit/agent-root.h"

#include "mgmt-agent/state/bundle-store.h"
#include "mgmt-agent/state/current.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/state/made-file.h"

#define SECRET "correct horse battery"

static MadeFile made(const char *service, const char *content)
{
    return (MadeFile) { .service = (char *) (uintptr_t) service,
                        .name = (char *) (uintptr_t) "db",
                        .content = (char *) (uintptr_t) content,
                        .len = strlen(content),
                        .is_secret = service != NULL,
                        .uid = -1,
                        .gid = -1,
                        .mode = -1 };
}

static char *path_of(const MadeFile *f)
{
    _cleanup_(error_done) Error err = {};
    char *path = NULL;

    if (made_file_path(f, &path, &err) < 0)
        fail_msg("%s", error_message(&err, -1));
    return path;
}

static void a_path_is_one_files_alone(void **state)
{
    MadeFile one = made("web", SECRET), changed = made("web", SECRET "!"), other = made("db", SECRET);
    MadeFile config = made(NULL, SECRET), moded = made("web", SECRET);
    _cleanup_(freep) char *path = path_of(&one), *again = path_of(&one),
                          *key = path_in_root(AGENT_STATE_DIR "/files.key");
    _cleanup_(freep) char *files = path_in_root(FILES_DIR), *after = NULL;
    MadeFile *others[] = { &changed, &other, &config, &moded };
    struct stat st;

    (void) state;
    moded.mode = 0440;
    assert_string_equal(path, again);
    assert_true(str_starts(path, files) && str_ends(path, "/db"));
    assert_int_equal(strlen(path), strlen(files) + 1 + 32 + strlen("/db"));
    for (size_t i = 0; i < ELEMENTSOF(others); i++) {
        _cleanup_(freep) char *else_where = path_of(others[i]);

        assert_string_not_equal(path, else_where);
    }
    /* by a key of this box's alone: a digest of a password could be guessed */
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(unlink(key), 0);
    after = path_of(&one);
    assert_string_not_equal(path, after);
    /* what is no key is replaced */
    agent_root_write(AGENT_STATE_DIR "/files.key", "short");
    free(after);
    after = path_of(&one);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_size, 32);
}

static void expect_mode(const char *path, mode_t mode)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void nobody_else_gets_at_it(void **state)
{
    MadeFile f = made("web", SECRET);
    _cleanup_(freep) char *path = path_of(&f), *files = path_in_root(FILES_DIR), *text = NULL, *place = NULL;
    _cleanup_(error_done) Error err = {};

    (void) state;
    assert_int_equal(made_file_write(&f, path, 0400, geteuid(), getegid(), getegid(), &err), 0);
    assert_int_equal(file_read(path, 100, &text, NULL, NULL), 0);
    assert_string_equal(text, SECRET);
    expect_mode(path, 0400);
    expect_mode(files, 0750);
    assert_int_equal(made_file_place(path, &place), 0);
    assert_int_equal(strlen(place), 32);
    free(place);
    assert_int_equal(made_file_place("/etc/passwd", &place), 0);
    assert_null(place);
    assert_int_equal(made_file_place(NULL, &place), 0);
    assert_null(place);
    /* again changes nothing; a wider mode holds from then on */
    assert_int_equal(made_file_write(&f, path, 0400, geteuid(), getegid(), getegid(), &err), 0);
    expect_mode(path, 0400);
    assert_int_equal(made_file_write(&f, path, 0444, geteuid(), getegid(), getegid(), &err), 0);
    assert_int_equal(made_file_write(&f, path, 0400, geteuid(), getegid(), getegid(), &err), 0);
    expect_mode(path, 0444);
    /* what a failing disk has cut is written anew */
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(made_file_write(&f, path, 0400, geteuid(), getegid(), getegid(), &err), 0);
    free(text);
    text = NULL;
    assert_int_equal(file_read(path, 100, &text, NULL, NULL), 0);
    assert_string_equal(text, SECRET);
}

/* Another image of the service has another user, and the container of the one before may come back. */
static void who_owns_it_keeps_it(void **state)
{
    MadeFile f = made("owned", SECRET);
    _cleanup_(freep) char *path = path_of(&f);
    struct stat st;

    (void) state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(made_file_write(&f, path, 0400, 999, 999, 0, NULL), 0);
    assert_int_equal(made_file_write(&f, path, 0400, 1000, 1000, 0, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 999);
    assert_int_equal(st.st_mode & 07777, 0444);
}

static char *write_made(const char *content)
{
    MadeFile f = made("web", content);
    char *path = path_of(&f);

    assert_int_equal(made_file_write(&f, path, 0400, geteuid(), getegid(), getegid(), NULL), 0);
    return path;
}

static Current *mounting(const char *source)
{
    _cleanup_(cJSON_Deletep) cJSON *o =
        cJSON_Parse("{\"version\":\"1\",\"id\":\"x\",\"services\":[{\"name\":\"web\"}]}");
    cJSON *service = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "services"), 0);
    cJSON *config = cJSON_AddObjectToObject(service, "config"), *volumes = cJSON_AddArrayToObject(config, "volumes");
    cJSON *mount = cJSON_CreateObject();

    assert_int_equal(json_append(volumes, mount), 0);
    assert_int_equal(json_add_string(mount, "source", source), 0);
    return current_from_json(o);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void what_no_container_mounts_goes(void **state)
{
    _cleanup_(freep) char *runs = write_made("runs"), *next = write_made("next"), *old = write_made("old");
    _cleanup_(current_freep) Current *current = mounting(runs);
    _cleanup_(journal_done) Journal journal = {};

    (void) state;
    assert_int_equal(current_save(current, NULL), 0);
    /* while containers are being made, nothing goes */
    journal.state = DEPLOY_APPLYING;
    assert_int_equal(journal_save(&journal, NULL), 0);
    bundle_store_sweep();
    assert_true(is_there(runs) && is_there(next) && is_there(old));
    /* when they are proved it is written down what they mount */
    journal.state = DEPLOY_CONFIRMING;
    journal.project = mounting(next);
    assert_int_equal(journal_save(&journal, NULL), 0);
    bundle_store_sweep();
    assert_true(is_there(runs) && is_there(next) && !is_there(old));
    /* it came to nothing */
    journal.state = DEPLOY_IDLE;
    assert_int_equal(journal_save(&journal, NULL), 0);
    bundle_store_sweep();
    assert_true(is_there(runs) && !is_there(next));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_one_files_alone),
        cmocka_unit_test(nobody_else_gets_at_it),
        cmocka_unit_test(who_owns_it_keeps_it),
        cmocka_unit_test(what_no_container_mounts_goes),
    };

    return cmocka_run_group_tests_name("agent-made-file", tests, agent_root_make, agent_root_remove);
}
