/* SPDX-License-Identifier: MIT */
/* When the second process of a change steps in, and what keeps it and mgmt-agent's workers apart. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <sys/wait.h>

#include "lib/base/boot-id.h"
#include "mgmt-agent/host/podman-user.h"
#include "mgmt-agent/state/change-guard.h"
#include "mgmt-agent/state/confirm-deadline.h"
#include "mgmt-agent/worker/jobs/guard-rules.h"

#define NOW (1000 * USEC_PER_SEC)

static GuardView view(DeployState state)
{
    return (GuardView) { .state = state, .pace = 1, .deadline = NOW, .now = NOW };
}

static void test_where_nothing_is_under_way_it_ends(void **state)
{
    static const DeployState ended[] = { DEPLOY_IDLE, DEPLOY_PREPARING, DEPLOY_RECOVERY };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(ended); i++) {
        GuardWatch w = {};
        GuardView v = view(ended[i]);

        assert_int_equal(guard_next(&w, &v), GUARD_OVER);
        v.locked = true; /* it has just begun */
        assert_int_equal(guard_next(&w, &v), GUARD_WAIT);
    }
}

static void test_an_unconfirmed_change_is_taken_back_a_little_later_than_by_the_agent(void **state)
{
    GuardWatch w = {};
    GuardView v = view(DEPLOY_CONFIRMING);

    (void) state;
    v.now = NOW + GUARD_LATE_USEC - 1;
    assert_int_equal(guard_next(&w, &v), GUARD_WAIT);
    v.now++;
    assert_int_equal(guard_next(&w, &v), GUARD_UNDO);
    v.locked = true;
    assert_int_equal(guard_next(&w, &v), GUARD_WAIT);
    v.locked = false;
    v.deadline = 0; /* it has brought boot after boot */
    assert_int_equal(guard_next(&w, &v), GUARD_UNDO);
}

static void test_a_confirmed_one_is_never_taken_back(void **state)
{
    GuardWatch w = {};
    GuardView v = view(DEPLOY_CONFIRMING);

    (void) state;
    v.confirmed = true;
    v.now = NOW + USEC_PER_HOUR;
    assert_int_equal(guard_next(&w, &v), GUARD_WAIT);
    v.now += GUARD_STALLED_USEC;
    assert_int_equal(guard_next(&w, &v), GUARD_COMMIT);
}

static void test_another_boot_gives_time(void **state)
{
    GuardWatch w = {};
    GuardView v = view(DEPLOY_CONFIRMING);

    (void) state;
    v.stale = true;
    v.now = NOW + USEC_PER_HOUR;
    assert_int_equal(guard_next(&w, &v), GUARD_WAIT);
    v.now += GUARD_LATE_USEC;
    assert_int_equal(guard_next(&w, &v), GUARD_RENEW);
}

static void test_what_is_left_half_made_is_taken_up(void **state)
{
    static const DeployState half_made[] = { DEPLOY_APPLYING, DEPLOY_PROVING, DEPLOY_COMMITTING, DEPLOY_ROLLING_BACK };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(half_made); i++) {
        GuardWatch w = {};
        GuardView v = view(half_made[i]);

        v.locked = true; /* the worker is at it, for however long */
        assert_int_equal(guard_next(&w, &v), GUARD_WAIT);
        v.now += USEC_PER_HOUR;
        assert_int_equal(guard_next(&w, &v), GUARD_WAIT);
        v.locked = false;
        v.now += GUARD_STALLED_USEC - 1;
        assert_int_equal(guard_next(&w, &v), GUARD_WAIT);
        v.tries++; /* somebody has taken it up */
        v.now++;
        assert_int_equal(guard_next(&w, &v), GUARD_WAIT);
        v.now += GUARD_STALLED_USEC;
        assert_int_equal(guard_next(&w, &v), GUARD_RECOVER);
    }
}

static void test_a_line_that_was_down_before_is_no_evidence(void **state)
{
    Journal j = { .boot_id = strdup("boot"), .deadline_usec = NOW, .confirm_usec = USEC_PER_MINUTE };

    (void) state;
    assert_false(tunnel_is_cut_off(USEC_INFINITY, NOW));
    assert_false(tunnel_is_cut_off(TUNNEL_UNKNOWN, NOW));
    assert_false(tunnel_is_cut_off(NOW - CUT_OFF_SINCE_USEC + 1, NOW)); /* it has only been cycled */
    assert_true(tunnel_is_cut_off(NOW - CUT_OFF_SINCE_USEC, NOW));
    assert_int_equal(confirm_deadline(&j, NOW), NOW); /* it was there before, so it is missed */
    assert_false(confirm_deadline_is_stale(&j, "boot", USEC_INFINITY));
    j.cut_off = true;
    assert_int_equal(confirm_deadline(&j, NOW), NOW + CUT_OFF_HOLD_USEC);
    assert_false(confirm_deadline_is_stale(&j, "boot", NOW));
    /* mgmt-link has just been started, or not yet: no word of the line that was down */
    assert_int_equal(confirm_deadline(&j, TUNNEL_UNKNOWN), NOW + CUT_OFF_HOLD_USEC);
    assert_false(confirm_deadline_is_stale(&j, "boot", TUNNEL_UNKNOWN));
    assert_true(confirm_deadline_is_stale(&j, "boot", USEC_INFINITY)); /* it is there: now it counts */
    assert_int_equal(confirm_deadline_move(&j, "boot", 2 * NOW), 0);
    assert_false(j.cut_off);
    assert_int_equal(j.deadline_usec, 2 * NOW + USEC_PER_MINUTE);
    j.cut_off = true;
    assert_int_equal(confirm_deadline_move(&j, "next", 5), 0);
    assert_true(j.cut_off);
    assert_string_equal(j.boot_id, "next");
    assert_int_equal(j.deadline_usec, 5 + USEC_PER_MINUTE);
    j.tries = CONFIRM_BOOTS_MAX;
    assert_int_equal(confirm_deadline_move(&j, "last", 5), 0);
    assert_false(j.cut_off);
    assert_int_equal(j.deadline_usec, 0);
    journal_done(&j);
}

static void test_the_tunnel_says_since_when_it_is_down(void **state)
{
    static const char *const garbled[] = {
        "", "soon", "0", "-1", "18446744073709551615", "99999999999999999999", "up\n"
    };

    _cleanup_(freep) char *folder = path_in_root(LINK_RUN_DIR);

    (void) state;
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(tunnel_down_since(), TUNNEL_UNKNOWN);
    for (size_t i = 0; i < ELEMENTSOF(garbled); i++) {
        agent_root_write(LINK_DOWN_PATH, garbled[i]);
        assert_int_equal(tunnel_down_since(), TUNNEL_UNKNOWN);
    }
    agent_root_write(LINK_DOWN_PATH, LINK_TUNNEL_UP);
    assert_true(tunnel_down_since() == USEC_INFINITY);
    agent_root_write(LINK_DOWN_PATH, "1234567");
    assert_int_equal(tunnel_down_since(), 1234567);
    agent_root_write(LINK_DOWN_PATH, NULL);
}

static void test_the_time_begins_anew_on_disk(void **state)
{
    Journal j = { .state = DEPLOY_CONFIRMING, .confirm_usec = USEC_PER_MINUTE }, read = {};

    (void) state;
    j.id = strdup("d1");
    j.boot_id = strdup("another boot");
    assert_int_equal(journal_save(&j, NULL), 0);
    assert_int_equal(confirm_deadline_renew(&j, NULL), 0);
    assert_int_equal(journal_load(&read, NULL), 0);
    assert_int_equal(read.tries, 1);
    assert_true(read.deadline_usec > USEC_PER_MINUTE);
    assert_int_equal(read.deadline_usec, j.deadline_usec);
    assert_string_not_equal(read.boot_id, "another boot");
    assert_int_equal(confirm_deadline_renew(&j, NULL), 0);
    assert_int_equal(j.tries, 1);
    /* somebody has ended it in the meantime */
    read.state = DEPLOY_IDLE;
    assert_int_equal(journal_save(&read, NULL), 0);
    free(j.boot_id);
    j.boot_id = strdup("another boot");
    assert_int_equal(confirm_deadline_renew(&j, NULL), 0);
    assert_int_equal(j.state, DEPLOY_IDLE);
    journal_done(&j);
    journal_done(&read);
}

/* Runs `what` in a process of its own, which must exit with 0. */
static void in_a_child(void (*what)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        what();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void expect_locked(void)
{
    _cleanup_(error_done) Error err = {};
    int fd = -1;

    if (!change_is_locked() || change_lock(false, &fd, &err) != -EBUSY || !str_equal(error_id(&err), "change.locked"))
        _exit(1);
}

static void expect_free(void)
{
    int fd = -1;

    if (change_is_locked() || change_lock(false, &fd, NULL) != 0)
        _exit(1);
}

static void test_one_holds_the_lock(void **state)
{
    int fd = -1;

    (void) state;
    in_a_child(expect_free);
    assert_int_equal(change_lock(true, &fd, NULL), 0);
    in_a_child(expect_locked);
    closep(&fd);
    in_a_child(expect_free); /* and it ends with who holds it */
    in_a_child(expect_free);
}

static void test_the_marks(void **state)
{
    (void) state;
    assert_int_equal(change_mark_set("d1", NULL, NULL), 0);
    assert_null(change_mark_environment());
    assert_int_equal(change_mark_set("d2", NULL, NULL), 0);
    assert_int_equal(change_mark_clear(NULL), 0);
    assert_int_equal(change_mark_clear(NULL), 0);
    assert_null(agent_root_read(CHANGE_MARK_PATH));
    assert_false(change_is_confirmed("d1"));
    change_note_confirmed("d1");
    assert_true(change_is_confirmed("d1"));
    assert_false(change_is_confirmed("d2"));
    assert_false(change_is_confirmed(NULL));
    /* the same order once more, after it was taken back, has to be confirmed once more */
    assert_int_equal(change_mark_set("d1", NULL, NULL), 0);
    assert_false(change_is_confirmed("d1"));
}

/* Podman's storage may lie elsewhere by mgmt-agent's environment: a guard that looks where no containers are would give up. */
static void test_the_guards_podman_is_the_agents(void **state)
{
    const char *storage = getenv("CONTAINERS_STORAGE_CONF");
    _cleanup_(freep) char *before = storage ? strdup(storage) : NULL;

    (void) state;
    assert_int_equal(setenv("CONTAINERS_STORAGE_CONF", "/srv/storage.conf", 1), 0);
    cJSON *given = podman_user_give_environment();
    assert_int_equal(change_mark_set("d1", given, NULL), 0);
    cJSON_Delete(given);
    assert_int_equal(unsetenv("CONTAINERS_STORAGE_CONF"), 0);
    given = change_mark_environment();
    assert_int_equal(podman_user_take_environment(given), 0);
    cJSON_Delete(given);
    assert_string_equal(getenv("CONTAINERS_STORAGE_CONF"), "/srv/storage.conf");
    assert_int_equal(before ? setenv("CONTAINERS_STORAGE_CONF", before, 1) : unsetenv("CONTAINERS_STORAGE_CONF"), 0);
    /* what cannot be read is no environment */
    agent_root_write(CHANGE_MARK_PATH, "d1");
    assert_null(change_mark_environment());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_nothing_is_under_way_it_ends),
        cmocka_unit_test(test_an_unconfirmed_change_is_taken_back_a_little_later_than_by_the_agent),
        cmocka_unit_test(test_a_confirmed_one_is_never_taken_back),
        cmocka_unit_test(test_another_boot_gives_time),
        cmocka_unit_test(test_what_is_left_half_made_is_taken_up),
        cmocka_unit_test(test_a_line_that_was_down_before_is_no_evidence),
        cmocka_unit_test_setup_teardown(test_the_tunnel_says_since_when_it_is_down, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_the_time_begins_anew_on_disk, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_one_holds_the_lock, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_the_marks, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_the_guards_podman_is_the_agents, agent_root_make, agent_root_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
