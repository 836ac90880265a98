/* SPDX-License-Identifier: MIT */
/* Sessions of guards outlive the program, and PINs cannot be guessed fast. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "secbox/lan/guard-sessions.h"
#include "secbox/lan/login-throttle.h"
#include "secbox/lan/request-throttle.h"

#define NOW (UINT64_C(1790000000) * USEC_PER_SEC)

static char dir[] = "/tmp/test-guards-XXXXXX";

static int make_dir(void **state)
{
    (void) state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void) state;
    return dir_remove(dir, NULL);
}

static GuardSessions *load(void)
{
    _cleanup_(freep) char *path = str_format("%s/sessions.json", dir);
    GuardSessions *s = NULL;

    assert_int_equal(guard_sessions_load(path, &s), 0);
    return s;
}

static void test_session_outlives_the_program(void **state)
{
    char token[GUARD_TOKEN_SIZE], other[GUARD_TOKEN_SIZE];
    GuardSessions *s = load();
    struct stat st;

    (void) state;
    assert_int_equal(guard_session_begin(s, "g-1", "Rosa Díaz", "b-1", NOW, token, NULL), 0);
    assert_int_equal(guard_session_begin(s, "g-2", "Iván", "b-2", NOW, other, NULL), 0);
    assert_string_not_equal(token, other);
    guard_sessions_free(s);
    s = load();
    const GuardSession *found = guard_session_find(s, token, NOW + USEC_PER_HOUR);
    assert_non_null(found);
    assert_string_equal(found->name, "Rosa Díaz");
    assert_string_equal(found->guard, "g-1");
    assert_null(guard_session_find(s, "none", NOW));
    assert_null(guard_session_find(s, NULL, NOW));
    assert_null(guard_session_find(s, token, NOW + GUARD_SESSION_LIFE));
    assert_non_null(guard_session_find(s, token, 0));
    assert_true(guard_sessions_know(s, "g-1", "b-1"));
    assert_false(guard_sessions_know(s, "g-1", "b-2"));
    assert_int_equal(guard_session_end(s, token, NULL), 0);
    assert_int_equal(guard_session_end(s, token, NULL), 0);
    assert_null(guard_session_find(s, token, NOW));
    assert_non_null(guard_session_find(s, other, NOW));
    guard_sessions_free(s);
    s = load();
    assert_int_equal(guard_sessions_count(s), 1);
    assert_true(guard_sessions_know(s, "g-1", "b-1"));
    _cleanup_(freep) char *path = str_format("%s/sessions.json", dir), *text = NULL;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(file_read(path, 65536, &text, NULL, NULL), 0);
    assert_null(strstr(text, other));
    guard_sessions_free(s);
}

static bool is_g1(const char *guard, void *userdata)
{
    (void) userdata;
    return str_equal(guard, "g-1");
}

static void test_guards_that_are_gone_and_bounds(void **state)
{
    char first[GUARD_TOKEN_SIZE], token[GUARD_TOKEN_SIZE];
    GuardSessions *s = load();

    (void) state;
    assert_int_equal(guard_session_begin(s, "g-1", "a", "b", NOW, first, NULL), 0);
    assert_int_equal(guard_sessions_keep(s, is_g1, NULL, NULL), 0);
    assert_int_equal(guard_sessions_count(s), 1);
    for (int i = 0; i < GUARD_SESSIONS_MAX; i++)
        assert_int_equal(guard_session_begin(s, "g-3", "c", "d", NOW, token, NULL), 0);
    assert_int_equal(guard_sessions_count(s), GUARD_SESSIONS_MAX);
    assert_null(guard_session_find(s, first, NOW));
    assert_non_null(guard_session_find(s, token, NOW));
    guard_sessions_free(s);
}

static void test_damaged_file(void **state)
{
    static const char *const texts[] = { "", "{", "[]", "{\"sessions\":[{\"hash\":\"x\"},5],\"browsers\":[7]}" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(freep) char *path = str_format("%s/sessions.json", dir);

        assert_int_equal(file_write_atomic(path, texts[i], strlen(texts[i]), 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
        GuardSessions *s = load();
        assert_int_equal(guard_sessions_count(s), 0);
        guard_sessions_free(s);
    }
}

static void test_throttle(void **state)
{
    LoginThrottle *t = login_throttle_new();
    usec_t now = USEC_PER_HOUR, wait = 0;

    (void) state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(login_throttle_failed(t, "g-1", NULL, now), 0);
        assert_int_equal(login_throttle_wait(t, "g-1", NULL, now), 0);
    }
    assert_int_equal(login_throttle_failed(t, "g-1", NULL, now), 0);
    assert_int_equal(login_throttle_wait(t, "g-1", NULL, now), 30 * USEC_PER_SEC);
    assert_int_equal(login_throttle_wait(t, "g-1", NULL, now + 30 * USEC_PER_SEC), 0);
    /* the guard's own tablet, and other guards, are not held up */
    assert_int_equal(login_throttle_wait(t, "g-1", "b-1", now), 0);
    assert_int_equal(login_throttle_wait(t, "g-2", NULL, now), 0);
    assert_int_equal(login_throttle_failed(t, "g-1", NULL, now), 0);
    assert_int_equal(login_throttle_wait(t, "g-1", NULL, now), 60 * USEC_PER_SEC);
    for (int i = 0; i < 40; i++)
        assert_int_equal(login_throttle_failed(t, "g-1", NULL, now), 0);
    wait = login_throttle_wait(t, "g-1", NULL, now);
    assert_int_equal(wait, 15 * USEC_PER_MINUTE);
    login_throttle_passed(t, "g-1", NULL);
    assert_int_equal(login_throttle_wait(t, "g-1", NULL, now), 0);
    for (int i = 0; i < 3000; i++) {
        _cleanup_(freep) char *guard = str_format("g-%d", i);
        assert_int_equal(login_throttle_failed(t, guard, NULL, now), 0);
    }
    login_throttle_free(t);
}

/* How many are answered at once. */
static unsigned answered(RequestThrottle *t, const char *who, bool about_people, usec_t now)
{
    unsigned n = 0;

    while (n < 100000 && request_throttle_take(t, who, about_people, now) == 0)
        n++;
    return n;
}

static void test_requests_are_bounded(void **state)
{
    RequestThrottle *t = request_throttle_new(20);
    usec_t now = USEC_PER_HOUR;

    (void) state;
    assert_int_equal(answered(t, "s-1", false, now), 200);
    assert_int_equal(request_throttle_take(t, "s-1", false, now), USEC_PER_SEC / 20);
    /* what was refused is not counted */
    assert_int_equal(request_throttle_take(t, "s-1", false, now), USEC_PER_SEC / 20);
    assert_int_equal(answered(t, "s-1", false, now + USEC_PER_SEC / 20), 1);
    assert_int_equal(answered(t, "s-1", false, now + USEC_PER_SEC + USEC_PER_SEC / 20), 20);
    assert_int_equal(answered(t, "s-1", false, now + USEC_PER_HOUR), 200);
    /* nobody else was held up, and strangers are one */
    assert_int_equal(answered(t, "s-2", false, now), 200);
    assert_int_equal(answered(t, NULL, false, now), 1000);
    assert_int_equal(answered(t, NULL, false, now), 0);
    request_throttle_free(t);
}

static void test_questions_about_people_are_bounded_further(void **state)
{
    RequestThrottle *t = request_throttle_new(20);
    usec_t now = USEC_PER_HOUR;
    unsigned scanned = 0;

    (void) state;
    assert_int_equal(answered(t, "s-1", true, now), 120);
    assert_int_equal(request_throttle_take(t, "s-1", true, now), USEC_PER_SEC / 2);
    /* the rest goes on: entries are registered while lookups wait */
    assert_int_equal(answered(t, "s-1", false, now), 80);
    for (unsigned i = 1; i <= 3600; i++)
        scanned += answered(t, "s-1", true, now + i * USEC_PER_SEC);
    assert_int_equal(scanned, 7200);
    request_throttle_free(t);
}

static void test_requests_without_bounds_and_many_askers(void **state)
{
    RequestThrottle *t = request_throttle_new(0);

    (void) state;
    assert_int_equal(answered(t, "s-1", true, 1), 100000);
    request_throttle_free(t);
    t = request_throttle_new(1);
    for (int i = 0; i < 3000; i++) {
        _cleanup_(freep) char *who = str_format("s-%d", i);
        assert_int_equal(request_throttle_take(t, who, true, 1), 0);
    }
    assert_int_equal(answered(t, "s-2999", false, 1), 9);
    request_throttle_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_outlives_the_program),
        cmocka_unit_test(test_guards_that_are_gone_and_bounds),
        cmocka_unit_test(test_damaged_file),
        cmocka_unit_test(test_throttle),
        cmocka_unit_test(test_requests_are_bounded),
        cmocka_unit_test(test_questions_about_people_are_bounded_further),
        cmocka_unit_test(test_requests_without_bounds_and_many_askers),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
