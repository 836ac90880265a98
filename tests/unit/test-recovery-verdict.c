/* SPDX-License-Identifier: MIT */
/* When the main way counts as wedged, on clocks of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/paths.h"
#include "recovery-agent/access.h"
#include "recovery-agent/deployed.h"
#include "recovery-agent/heartbeat-reader.h"
#include "recovery-agent/verdict.h"

#define ROUND (4 * USEC_PER_SEC)
#define CHECKS 3
#define U CHECK_UNKNOWN
#define G CHECK_GOOD
#define B CHECK_BAD

static const VerdictOptions options = { .failures = 3, .good = 3, .grace = 60 * USEC_PER_SEC, .round = ROUND };

typedef struct Box {
    Verdict v;
    usec_t boottime, monotonic;
} Box;

static bool round_of(Box *b, CheckResult a, CheckResult c, CheckResult d)
{
    const CheckResult results[CHECKS] = { a, c, d };

    b->boottime += ROUND;
    b->monotonic += ROUND;
    return verdict_round(&b->v, &options, results, CHECKS, b->boottime, b->monotonic);
}

static void rounds_of(Box *b, unsigned n, CheckResult a, CheckResult c, CheckResult d)
{
    while (n-- > 0)
        (void) round_of(b, a, c, d);
}

/* Past its grace, healthy. */
static Box healthy_box(void)
{
    Box b = { .boottime = 1000 * USEC_PER_SEC, .monotonic = 900 * USEC_PER_SEC };

    verdict_init(&b.v, &options, b.boottime);
    rounds_of(&b, 20, G, G, G);
    assert_int_equal(b.v.state, VERDICT_HEALTHY);
    return b;
}

static void test_three_in_a_row(void **state)
{
    Box b = healthy_box();
    usec_t since = b.v.since;

    (void) state;
    assert_true(round_of(&b, G, B, G));
    assert_int_equal(b.v.state, VERDICT_SUSPECT);
    assert_true(b.v.since > since);
    assert_false(round_of(&b, G, B, G));
    assert_true(round_of(&b, G, B, G));
    assert_int_equal(b.v.state, VERDICT_WEDGED);
    assert_false(round_of(&b, G, B, G));
}

/* A wedge at the worst moment is known within 20 s: it waits for the next round, whose probe runs into its time. */
static void test_verdict_within_20_s(void **state)
{
    Box b = healthy_box();
    usec_t wedge = b.boottime + 1;

    (void) state;
    while (b.v.state != VERDICT_WEDGED)
        (void) round_of(&b, G, B, G);
    assert_true(b.boottime + 4 * USEC_PER_SEC - wedge <= 20 * USEC_PER_SEC);
}

static void test_different_checks_are_no_row(void **state)
{
    Box b = healthy_box();

    (void) state;
    for (unsigned i = 0; i < 20; i++) {
        (void) round_of(&b, B, G, G);
        (void) round_of(&b, G, B, G);
        (void) round_of(&b, G, G, B);
    }
    assert_int_not_equal(b.v.state, VERDICT_WEDGED);
}

static void test_unknown_breaks_a_row_and_proves_nothing(void **state)
{
    Box b = healthy_box();

    (void) state;
    for (unsigned i = 0; i < 20; i++) {
        rounds_of(&b, 2, G, B, G);
        (void) round_of(&b, G, U, G);
    }
    assert_int_not_equal(b.v.state, VERDICT_WEDGED);
    /* nothing at all can be told: the state stays */
    Box c = healthy_box();
    rounds_of(&c, 50, U, U, U);
    assert_int_equal(c.v.state, VERDICT_HEALTHY);
    rounds_of(&c, 3, B, U, U);
    assert_int_equal(c.v.state, VERDICT_WEDGED);
    rounds_of(&c, 50, U, U, U);
    assert_int_equal(c.v.state, VERDICT_WEDGED);
}

static void test_hysteresis(void **state)
{
    Box b = healthy_box();

    (void) state;
    rounds_of(&b, 3, B, G, G);
    for (unsigned i = 0; i < 10; i++) {
        rounds_of(&b, 2, G, G, G);
        assert_int_equal(b.v.state, VERDICT_WEDGED);
        (void) round_of(&b, B, G, G);
    }
    rounds_of(&b, 2, G, G, G);
    assert_true(round_of(&b, G, G, G));
    assert_int_equal(b.v.state, VERDICT_HEALTHY);
    /* a suspicion that did not come true needs one good round */
    (void) round_of(&b, B, G, G);
    assert_true(round_of(&b, G, G, G));
    assert_int_equal(b.v.state, VERDICT_HEALTHY);
}

static void test_grace_after_the_start(void **state)
{
    Box b = { .boottime = 5 * USEC_PER_SEC, .monotonic = 5 * USEC_PER_SEC };

    (void) state;
    verdict_init(&b.v, &options, b.boottime);
    while (b.boottime + ROUND < 65 * USEC_PER_SEC) {
        (void) round_of(&b, B, B, B);
        assert_int_equal(b.v.state, VERDICT_STARTING);
    }
    rounds_of(&b, 3, B, B, B);
    assert_int_equal(b.v.state, VERDICT_WEDGED);
    assert_false(b.v.was_healthy);
}

static void test_grace_after_a_restart(void **state)
{
    Box b = healthy_box();

    (void) state;
    rounds_of(&b, 3, B, G, G);
    verdict_excuse(&b.v, b.boottime + 60 * USEC_PER_SEC);
    rounds_of(&b, 10, B, G, G);
    assert_int_equal(b.v.state, VERDICT_WEDGED); /* excused, not healed */
    assert_int_equal(b.v.bad[0], 0);
    rounds_of(&b, 3, G, G, G);
    assert_int_equal(b.v.state, VERDICT_HEALTHY);
    rounds_of(&b, 2, B, G, G);
    assert_int_equal(b.v.state, VERDICT_SUSPECT);
}

static void test_sleep_of_the_machine(void **state)
{
    Box b = healthy_box();

    (void) state;
    rounds_of(&b, 2, G, B, G);
    b.boottime += 8 * USEC_PER_HOUR; /* it slept: monotonic stood still */
    rounds_of(&b, 10, B, B, G);
    assert_int_not_equal(b.v.state, VERDICT_WEDGED);
    rounds_of(&b, 10, B, B, G); /* the grace is over */
    assert_int_equal(b.v.state, VERDICT_WEDGED);
}

/* A machine so busy that we ourselves come late says nothing about others. */
static void test_late_rounds(void **state)
{
    Box b = healthy_box();

    (void) state;
    for (unsigned i = 0; i < 30; i++) {
        b.boottime += 4 * ROUND;
        b.monotonic += 4 * ROUND;
        (void) round_of(&b, B, B, B);
        assert_int_equal(b.v.state, VERDICT_HEALTHY);
    }
}

static void test_heartbeat(void **state)
{
    const usec_t now = 100 * USEC_PER_SEC, stale = 7 * USEC_PER_SEC;
    bool seen = false;

    (void) state;
    assert_int_equal(heartbeat_judge("00000000000098000000\n", now, stale), CHECK_GOOD);
    assert_int_equal(heartbeat_judge("93000000", now, stale), CHECK_GOOD);
    assert_int_equal(heartbeat_judge("00000000000092999999\n", now, stale), CHECK_BAD);
    assert_int_equal(heartbeat_judge("00000000000100000001\n", now, stale), CHECK_BAD); /* of another boot */
    static const char *const nonsense[] = {
        "", "\n", "x", "-1", " 98000000", "98000000 ", "98000000x", "99999999999999999999", "000000000000098000000"
    };
    for (size_t i = 0; i < ELEMENTSOF(nonsense); i++)
        assert_int_equal(heartbeat_judge(nonsense[i], now, stale), CHECK_BAD);
    assert_int_equal(heartbeat_check("/nonexistent/heartbeat", now, stale, &seen), CHECK_UNKNOWN);
    seen = true;
    assert_int_equal(heartbeat_check("/nonexistent/heartbeat", now, stale, &seen), CHECK_BAD);
}

static void test_access(void **state)
{
    const usec_t minute = USEC_PER_MINUTE, close_after = 5 * USEC_PER_MINUTE;
    usec_t now = 10 * minute;
    Access a = {};

    (void) state;
    /* open from the start until the main way was healthy once */
    access_update(&a, VERDICT_STARTING, 0, close_after, now);
    assert_string_equal(access_reason(&a, now), "starting");
    access_update(&a, VERDICT_HEALTHY, 0, close_after, now);
    assert_null(access_reason(&a, now));
    /* a wedge: until it was healthy for five minutes */
    access_update(&a, VERDICT_SUSPECT, 0, close_after, now);
    assert_null(access_reason(&a, now));
    access_update(&a, VERDICT_WEDGED, 0, close_after, now);
    assert_string_equal(access_reason(&a, now), "wedged");
    access_update(&a, VERDICT_HEALTHY, close_after - 1, close_after, now);
    assert_string_equal(access_reason(&a, now), "wedged");
    access_update(&a, VERDICT_HEALTHY, close_after, close_after, now);
    assert_null(access_reason(&a, now));
    /* the cloud: its seconds, but not longer than the main way is well for five minutes since it asked */
    access_order(&a, false, 3600, now);
    assert_string_equal(access_reason(&a, now), "cloud");
    access_update(&a, VERDICT_HEALTHY, 100 * minute, close_after, now + 4 * minute);
    assert_string_equal(access_reason(&a, now + 4 * minute), "cloud");
    access_update(&a, VERDICT_HEALTHY, 101 * minute, close_after, now + 5 * minute);
    assert_null(access_reason(&a, now + 5 * minute));
    /* break-glass: its seconds, whatever else; a shorter order does not cut a longer one short */
    access_order(&a, true, 3600, now);
    access_order(&a, true, 60, now);
    access_update(&a, VERDICT_HEALTHY, 200 * minute, close_after, now + 59 * minute);
    assert_string_equal(access_reason(&a, now + 59 * minute), "break-glass");
    assert_null(access_reason(&a, now + 60 * minute));
    access_order(&a, true, UINT64_MAX, now);
    assert_null(access_reason(&a, now + USEC_PER_DAY));
    assert_string_equal(access_reason(&a, now + USEC_PER_DAY - 1), "break-glass");
}

/* A step that has just begun excuses everybody; what it is for stays said. */
static void test_a_wedge_keeps_its_reason(void **state)
{
    Box b = healthy_box();

    (void) state;
    (void) round_of(&b, G, B, G);
    assert_true(verdict_blames(&b.v, 1));
    assert_false(verdict_blames(&b.v, 0) || verdict_blames(&b.v, 2));
    rounds_of(&b, 2, G, B, G);
    verdict_excuse(&b.v, b.boottime + 60 * USEC_PER_SEC);
    assert_int_equal(b.v.state, VERDICT_WEDGED);
    assert_true(verdict_blames(&b.v, 1));
    assert_false(verdict_blames(&b.v, 0) || verdict_blames(&b.v, 2));
    rounds_of(&b, 2, U, U, U);
    assert_true(verdict_blames(&b.v, 1));
    /* another one takes its place, or all are well */
    b.boottime += 100 * USEC_PER_SEC;
    b.monotonic += 100 * USEC_PER_SEC;
    rounds_of(&b, 5, B, G, G);
    assert_true(verdict_blames(&b.v, 0));
    assert_false(verdict_blames(&b.v, 1));
    rounds_of(&b, 3, G, G, G);
    assert_int_equal(b.v.state, VERDICT_HEALTHY);
    assert_false(verdict_blames(&b.v, 0) || verdict_blames(&b.v, 1));
}

static void test_what_is_deployed(void **state)
{
    (void) state;
    assert_int_equal(deployed_judge(SERVICE_NAMES_HEAD "\nweb\nsecbox\ndb\n", "secbox"), DEPLOYED_YES);
    assert_int_equal(deployed_judge(SERVICE_NAMES_HEAD "\nsecbox\n", "secbox"), DEPLOYED_YES);
    assert_int_equal(deployed_judge(SERVICE_NAMES_HEAD "\nweb\nsecbox2\nmy-secbox\n", "secbox"), DEPLOYED_NO);
    assert_int_equal(deployed_judge(SERVICE_NAMES_HEAD "\n", "secbox"), DEPLOYED_NO);
    /* what is damaged or another kind of list accuses nobody */
    assert_int_equal(deployed_judge("", "secbox"), DEPLOYED_UNKNOWN);
    assert_int_equal(deployed_judge("secbox\n", "secbox"), DEPLOYED_UNKNOWN);
    assert_int_equal(deployed_judge("secbox-services 2\nweb\n", "secbox"), DEPLOYED_UNKNOWN);
    assert_int_equal(deployed_judge(SERVICE_NAMES_HEAD, "secbox"), DEPLOYED_UNKNOWN);
    assert_int_equal(deployed_judge(SERVICE_NAMES_HEAD "\nweb\nsecbo", "secbox"), DEPLOYED_UNKNOWN);
    paths_set_root("/nonexistent");
    assert_int_equal(deployed_read("secbox"), DEPLOYED_UNKNOWN);
    paths_set_root(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_in_a_row),
        cmocka_unit_test(test_verdict_within_20_s),
        cmocka_unit_test(test_different_checks_are_no_row),
        cmocka_unit_test(test_unknown_breaks_a_row_and_proves_nothing),
        cmocka_unit_test(test_hysteresis),
        cmocka_unit_test(test_grace_after_the_start),
        cmocka_unit_test(test_grace_after_a_restart),
        cmocka_unit_test(test_sleep_of_the_machine),
        cmocka_unit_test(test_late_rounds),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_a_wedge_keeps_its_reason),
        cmocka_unit_test(test_what_is_deployed),
        cmocka_unit_test(test_access),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
