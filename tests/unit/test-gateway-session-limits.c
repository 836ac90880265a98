/* SPDX-License-Identifier: MIT */
/* When a support session ends by itself: the grant's end, its longest length, silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/sessions/session-limits.h"

#define START (1000 * USEC_PER_SEC)
#define MINUTES(n) ((usec_t) (n) *60 * USEC_PER_SEC)

static void test_the_grant_ends_first(void **state)
{
    SessionLimits l = session_limits_of_grant(START, MINUTES(10), MINUTES(30));
    Idle idle;

    (void) state;
    idle_start(&idle, START);
    session_limits_open(&l, START, MINUTES(60));
    assert_true(l.ends_at == START + MINUTES(10) && l.ends_by_grant);
    SessionVerdict v = session_limits_judge(&l, &idle, START + MINUTES(10) - 1);
    assert_null(v.id);
    assert_true(v.look_again == START + MINUTES(10));
    assert_string_equal(session_limits_judge(&l, &idle, START + MINUTES(10)).id, "grant.expired");
}

static void test_the_length_ends_first(void **state)
{
    SessionLimits l = session_limits_of_grant(START, MINUTES(60), MINUTES(30));
    Idle idle;

    (void) state;
    /* the length counts from the opening, not from the request */
    idle_start(&idle, START + MINUTES(1));
    session_limits_open(&l, START + MINUTES(1), MINUTES(20));
    assert_null(session_limits_judge(&l, &idle, START + MINUTES(21) - 1).id);
    assert_string_equal(session_limits_judge(&l, &idle, START + MINUTES(21)).id, "session.too-long");
}

static void test_both_at_once_is_the_grant(void **state)
{
    SessionLimits l = session_limits_of_grant(START, MINUTES(20), MINUTES(5));
    Idle idle;

    (void) state;
    idle_start(&idle, START);
    session_limits_open(&l, START, MINUTES(20));
    assert_string_equal(session_limits_judge(&l, &idle, START + MINUTES(20)).id, "grant.expired");
}

static void test_silence(void **state)
{
    SessionLimits l = session_limits_of_grant(START, MINUTES(60), MINUTES(5));
    Idle idle;

    (void) state;
    idle_start(&idle, START);
    session_limits_open(&l, START, MINUTES(60));
    assert_true(session_limits_judge(&l, &idle, START).look_again == START + MINUTES(5));
    idle_bytes(&idle, 4000, START + MINUTES(4));
    SessionVerdict v = session_limits_judge(&l, &idle, START + MINUTES(5));
    assert_null(v.id);
    assert_true(v.look_again == START + MINUTES(9));
    assert_string_equal(session_limits_judge(&l, &idle, START + MINUTES(9)).id, "session.idle");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_grant_ends_first),
        cmocka_unit_test(test_the_length_ends_first),
        cmocka_unit_test(test_both_at_once_is_the_grant),
        cmocka_unit_test(test_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
