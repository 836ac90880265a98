/* SPDX-License-Identifier: MIT */
/* The journal comes back as it was written, is never half of anything, and is not guessed at when it is broken. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "lib/base/boot-id.h"
#include "mgmt-agent/state/journal.h"

#define JOURNAL AGENT_STATE_DIR "/journal.json"

static void add_step(Journal *j, const char *action, const char *service, const char *old_id, bool was_running)
{
    _cleanup_(freep) char *container = str_format("box_%s_1", service);
    _cleanup_(freep) char *old_name = old_id ? str_format("old-%s", service) : NULL;
    _cleanup_(freep) char *backup = old_id ? str_format("old-%s-before-7", service) : NULL;
    _cleanup_(freep) char *id = old_id ? strdup(old_id) : NULL;
    _cleanup_(freep) char *does = strdup(action);
    _cleanup_(freep) char *name = strdup(service);

    assert_int_equal(journal_add_step(j, &(JournalStep) { .action = does,
                                                          .service = name,
                                                          .container = container,
                                                          .old_id = id,
                                                          .old_name = old_name,
                                                          .backup = backup,
                                                          .was_running = was_running }),
                     0);
}

static void fill(Journal *j)
{
    _cleanup_(cJSON_Deletep) cJSON *project = NULL;
    _cleanup_(error_done) Error failed = {};

    *j = (Journal) { .state = DEPLOY_PROVING,
                     .id = strdup("d-1"),
                     .version = strdup("18446744073709551615"),
                     .sha256 = strdup("abc"),
                     .nonce = strdup("nonce \"quoted\""),
                     .tries = 2,
                     .seq = 41,
                     .boot_id = strdup("boot"),
                     .deadline_usec = UINT64_MAX,
                     .confirm_usec = 300 * USEC_PER_SEC,
                     .started_realtime = UINT64_C(1767323045678000) };
    error_set_at(&failed, EIO, "prove.not-running", "compose.yaml", 7, "web", "es läuft nicht");
    assert_int_equal(journal_note_failure(j, NULL, -EIO, "apply", "an earlier one"), 0);
    assert_int_equal(journal_note_failure(j, &failed, -EIO, "prove", "two\nlines\n"), 0);
    j->kind = strdup("update");
    j->by_connection = true;
    j->updates = calloc(1, sizeof(*j->updates));
    j->n_updates = 1;
    j->updates[0] = (ImageUpdate) { .service = strdup("web"), .image_id = strdup("00ff"), .seen_at = 5000 };
    project = json_of("{\"name\":\"box\",\"services\":[{\"name\":\"web\",\"id\":\"1\"}]}");
    j->project = current_from_json(project);
    j->rest = json_of("{\"ofAnotherVersion\":[1,2]}");
    add_step(j, "replace", "web", "0123", true);
    add_step(j, "create", "more", NULL, false);
    add_step(j, "remove", "old", "4567", false);
}

static void assert_same(const char *a, const char *b)
{
    if (!str_equal(a, b))
        fail_msg("'%s' instead of '%s'", b ? b : "(null)", a ? a : "(null)");
}

static void assert_same_json(const cJSON *a, const cJSON *b)
{
    assert_true((a == NULL) == (b == NULL));
    assert_true(!a || cJSON_Compare(a, b, true));
}

static void assert_same_project(const Current *a, const Current *b)
{
    _cleanup_(cJSON_Deletep) cJSON *x = a ? json_write(&current_type, a) : NULL;
    _cleanup_(cJSON_Deletep) cJSON *y = b ? json_write(&current_type, b) : NULL;

    assert_same_json(x, y);
}

static void assert_same_failure(const JournalFailure *a, const JournalFailure *b)
{
    assert_true(!a == !b);
    if (!a)
        return;
    assert_same(a->id, b->id);
    assert_same(a->message, b->message);
    assert_same(a->file, b->file);
    assert_same(a->key, b->key);
    assert_int_equal(a->line, b->line);
    assert_same(a->phase, b->phase);
    assert_same(a->log, b->log);
    assert_same_json(a->rest, b->rest);
}

static void assert_same_journal(const Journal *a, const Journal *b)
{
    _cleanup_(cJSON_Deletep) cJSON *updates = journal_updates_to_json(a);
    _cleanup_(cJSON_Deletep) cJSON *others = journal_updates_to_json(b);

    assert_int_equal(a->state, b->state);
    assert_same(a->kind, b->kind);
    assert_int_equal(a->by_connection, b->by_connection);
    assert_same_json(updates, others);
    assert_same(a->id, b->id);
    assert_same(a->version, b->version);
    assert_same(a->sha256, b->sha256);
    assert_same(a->nonce, b->nonce);
    assert_int_equal(a->tries, b->tries);
    assert_int_equal(a->seq, b->seq);
    assert_same(a->boot_id, b->boot_id);
    assert_int_equal(a->deadline_usec, b->deadline_usec);
    assert_int_equal(a->confirm_usec, b->confirm_usec);
    assert_int_equal(a->started_realtime, b->started_realtime);
    assert_same_failure(a->failure, b->failure);
    assert_same_project(a->project, b->project);
    assert_same_json(a->rest, b->rest);
    assert_int_equal(a->n_steps, b->n_steps);
    for (size_t i = 0; i < a->n_steps; i++) {
        assert_same(a->steps[i].action, b->steps[i].action);
        assert_same(a->steps[i].service, b->steps[i].service);
        assert_same(a->steps[i].container, b->steps[i].container);
        assert_same(a->steps[i].old_id, b->steps[i].old_id);
        assert_same(a->steps[i].old_name, b->steps[i].old_name);
        assert_same(a->steps[i].backup, b->steps[i].backup);
        assert_int_equal(a->steps[i].was_running, b->steps[i].was_running);
    }
}

static void assert_round_trip(const Journal *j)
{
    _cleanup_(journal_done) Journal back = {};
    _cleanup_(error_done) Error err = {};
    int r = journal_save(j, &err);

    if (r == 0)
        r = journal_load(&back, &err);
    if (r < 0)
        fail_msg("%s", error_message(&err, r));
    assert_same_journal(j, &back);
}

static void test_round_trip(void **state)
{
    _cleanup_(journal_done) Journal full = {};
    _cleanup_(freep) char *path = path_in_root(JOURNAL);
    struct stat st;

    (void) state;
    fill(&full);
    for (int s = 0; s < _DEPLOY_STATE_MAX; s++) {
        Journal bare = { .state = (DeployState) s };

        assert_round_trip(&bare);
        full.state = (DeployState) s;
        assert_round_trip(&full);
    }
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_missing_is_idle(void **state)
{
    Journal j;

    (void) state;
    agent_root_write(JOURNAL, NULL);
    memset(&j, 0xff, sizeof(j));
    assert_int_equal(journal_load(&j, NULL), 0);
    assert_same_journal(&(Journal) {}, &j);
}

static void test_f56_corrupt_is_told_and_touches_nothing(void **state)
{
    static const char *const broken[] = {
        "",
        "\n",
        "{",
        "[]",
        "null",
        "{}",
        "{\"state\":\"proving\"",
        "{\"state\":\"proving\"}{\"state\":\"idle\"}",
        "{\"state\":\"proving\",\"state\":\"idle\"}",
        "{\"state\":\"Proving\"}",
        "{\"state\":3}",
        "{\"state\":null}",
        "{\"state\":\"proving\",\"tries\":\"-1\"}",
        "{\"state\":\"proving\",\"tries\":true}",
        "{\"state\":\"proving\",\"deadlineUsec\":\"18446744073709551616\"}",
        "{\"state\":\"proving\",\"deadlineUsec\":1.5}",
        "{\"state\":\"proving\",\"confirmUsec\":\"soon\"}",
        "{\"state\":\"proving\",\"steps\":[{}]}",
        "{\"state\":\"proving\",\"steps\":[{\"action\":\"create\",\"service\":\"web\"}]}",
        "{\"state\":\"proving\",\"steps\":[{\"action\":\"create\",\"service\":\"web\",\"container\":\"c\"},7]}",
        "\xff\xfe",
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
        Journal j = { .state = DEPLOY_CONFIRMING, .tries = 7 };
        _cleanup_(error_done) Error err = {};
        int r;

        agent_root_write(JOURNAL, broken[i]);
        r = journal_load(&j, &err);
        if (r >= 0)
            fail_msg("taken for a journal: %s", broken[i]);
        assert_string_equal(error_id(&err), "journal.corrupt");
        assert_non_null(strstr(error_message(&err, r), "journal.json"));
        assert_int_equal(j.state, DEPLOY_CONFIRMING);
        assert_int_equal(j.tries, 7);
    }
    agent_root_write(JOURNAL, NULL);
}

/* As written before there was a type for it, and as by a version that notes more. */
static void test_why_it_rolls_back(void **state)
{
    static const char text[] =
        "{\"state\":\"rolling-back\",\"failure\":{\"id\":\"prove.not-running\",\"message\":\"it ended\","
        "\"file\":\"compose.yaml\",\"key\":\"web\",\"line\":7,\"phase\":\"prove\","
        "\"log\":\"one\\ntwo\\n\",\"later\":[1]}}";
    _cleanup_(journal_done) Journal j = {};
    _cleanup_(error_done) Error err = {};

    (void) state;
    agent_root_write(JOURNAL, text);
    assert_int_equal(journal_load(&j, NULL), 0);
    assert_non_null(j.failure);
    assert_string_equal(j.failure->phase, "prove");
    assert_string_equal(j.failure->log, "one\ntwo\n");
    assert_int_equal(journal_failure_to_error(&j, &err), -EIO);
    assert_string_equal(error_id(&err), "prove.not-running");
    assert_string_equal(err.file, "compose.yaml");
    assert_string_equal(err.key, "web");
    assert_int_equal(err.line, 7);
    assert_string_equal(err.message, "it ended");
    assert_round_trip(&j);
    agent_root_write(JOURNAL, NULL);
}

static void test_f56_every_truncation_is_corrupt(void **state)
{
    _cleanup_(journal_done) Journal full = {};
    _cleanup_(freep) char *text = NULL;

    (void) state;
    fill(&full);
    assert_int_equal(journal_save(&full, NULL), 0);
    text = agent_root_read(JOURNAL);
    for (size_t len = strlen(text); len-- > 0;) {
        Journal j = {};

        text[len] = '\0';
        agent_root_write(JOURNAL, text);
        if (journal_load(&j, NULL) >= 0)
            fail_msg("the first %zu bytes were taken for a journal", len);
    }
    agent_root_write(JOURNAL, NULL);
}

static void test_steps_are_on_disk_before_they_count(void **state)
{
    Journal j = {};
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *before = NULL;
    _cleanup_(freep) char *after = NULL;

    (void) state;
    assert_int_equal(journal_step(&j, EVENT_START, NULL), 0);
    assert_int_equal(j.state, DEPLOY_PREPARING);
    before = agent_root_read(JOURNAL);

    /* not legal: neither memory nor disk moves */
    assert_int_equal(journal_step(&j, EVENT_CONFIRMED, &err), -EPROTO);
    assert_string_equal(error_id(&err), "journal.transition");
    assert_non_null(strstr(error_message(&err, -EPROTO), "confirmed"));
    assert_int_equal(j.state, DEPLOY_PREPARING);
    after = agent_root_read(JOURNAL);
    assert_string_equal(before, after);
}

static void test_a_step_that_cannot_be_written_does_not_count(void **state)
{
    _cleanup_(freep) char *folder = path_in_root(AGENT_STATE_DIR);
    _cleanup_(freep) char *away = path_in_root(STATE_DIR "/away");
    _cleanup_(error_done) Error err = {};
    Journal j = {};

    (void) state;
    assert_int_equal(journal_step(&j, EVENT_START, NULL), 0);
    assert_int_equal(rename(folder, away), 0);
    assert_true(journal_step(&j, EVENT_READY, &err) < 0);
    assert_int_equal(rename(away, folder), 0);
    assert_int_equal(j.state, DEPLOY_PREPARING);
    assert_int_equal(journal_load(&j, NULL), 0);
    assert_int_equal(j.state, DEPLOY_PREPARING);
    journal_done(&j);
}

static void test_tries_count_restarts_only(void **state)
{
    Journal j = { .state = DEPLOY_ROLLING_BACK };

    (void) state;
    for (unsigned i = 1; i <= 3; i++) {
        _cleanup_(journal_done) Journal back = {};

        assert_int_equal(journal_step(&j, EVENT_RESTARTED, NULL), 0);
        assert_int_equal(journal_load(&back, NULL), 0);
        assert_int_equal(back.tries, i);
        assert_int_equal(back.state, DEPLOY_ROLLING_BACK);
    }
    assert_int_equal(journal_step(&j, EVENT_FINISHED, NULL), 0);
    assert_int_equal(j.tries, 0);
}

/* A writer is killed again and again; what is read is always one of the two journals it writes, whole. */
static void test_killed_in_mid_write(void **state)
{
    _cleanup_(journal_done) Journal full = {};
    Journal bare = { .state = DEPLOY_APPLYING };

    (void) state;
    fill(&full);
    assert_int_equal(journal_save(&full, NULL), 0);
    for (unsigned round = 0; round < 40; round++) {
        pid_t child = fork();
        _cleanup_(journal_done) Journal back = {};
        _cleanup_(error_done) Error err = {};
        int r;

        if (child == 0)
            for (unsigned i = 0;; i++)
                if (journal_save(i % 2 ? &full : &bare, NULL) < 0)
                    _exit(1);
        usleep(300 + 173 * round);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        r = journal_load(&back, &err);
        if (r < 0)
            fail_msg("round %u: %s", round, error_message(&err, r));
        assert_same_journal(back.state == DEPLOY_APPLYING ? &bare : &full, &back);
    }
    assert_int_equal(journal_save(&bare, NULL), 0);
}

static void test_boot_id(void **state)
{
    _cleanup_(freep) char *a = boot_id_read();
    _cleanup_(freep) char *b = boot_id_read();

    (void) state;
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), 36);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_missing_is_idle),
        cmocka_unit_test(test_f56_corrupt_is_told_and_touches_nothing),
        cmocka_unit_test(test_why_it_rolls_back),
        cmocka_unit_test(test_f56_every_truncation_is_corrupt),
        cmocka_unit_test(test_steps_are_on_disk_before_they_count),
        cmocka_unit_test(test_a_step_that_cannot_be_written_does_not_count),
        cmocka_unit_test(test_tries_count_restarts_only),
        cmocka_unit_test(test_killed_in_mid_write),
        cmocka_unit_test(test_boot_id),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}
