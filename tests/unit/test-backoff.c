/* SPDX-License-Identifier: MIT */
/* Bounds and distribution of the delays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/event/backoff.h"

/* A fixed sequence that is uniform enough, so that the test always sees the same numbers. */
static uint64_t next_random(uint64_t *s)
{
    *s += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *s;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void test_ceiling_doubles_to_the_cap(void **state)
{
    static const usec_t seconds[] = { 1, 2, 4, 8, 16, 32, 64, 120, 120, 120 };
    Backoff b = BACKOFF_TUNNEL;

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(seconds); i++)
        assert_int_equal(backoff_next(&b, UINT64_MAX, 0, 0), seconds[i] * USEC_PER_SEC);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(backoff_next(&b, UINT64_MAX, 0, 0), 120 * USEC_PER_SEC);
    assert_int_equal(backoff_next(&b, 0, 0, 0), 0);
}

static void test_full_jitter_is_uniform(void **state)
{
    unsigned buckets[10] = {};
    uint64_t seed = 1;

    (void) state;
    for (int i = 0; i < 100000; i++) {
        Backoff b = BACKOFF_TUNNEL;
        b.tries = 5;
        usec_t d = backoff_next(&b, next_random(&seed), 0, 0);

        assert_true(d <= 32 * USEC_PER_SEC);
        buckets[d * 10 / (32 * USEC_PER_SEC + 1)]++;
    }
    for (size_t i = 0; i < ELEMENTSOF(buckets); i++)
        assert_in_range(buckets[i], 9500, 10500);
}

static void test_retry_after_is_a_floor(void **state)
{
    uint64_t seed = 2;
    usec_t lowest = USEC_INFINITY, highest = 0;

    (void) state;
    for (int i = 0; i < 10000; i++) {
        Backoff b = BACKOFF_TUNNEL;
        usec_t d = backoff_next(&b, next_random(&seed), 30 * USEC_PER_SEC, 10 * USEC_PER_SEC);

        lowest = d < lowest ? d : lowest;
        highest = d > highest ? d : highest;
    }
    assert_in_range(lowest, 30 * USEC_PER_SEC, 30 * USEC_PER_SEC + 100 * USEC_PER_MSEC);
    assert_in_range(highest, 39900 * USEC_PER_MSEC, 40 * USEC_PER_SEC);
    Backoff b = BACKOFF_TUNNEL;
    assert_int_equal(backoff_next(&b, UINT64_MAX, USEC_INFINITY, USEC_INFINITY), USEC_INFINITY);
    assert_int_equal(backoff_next(&b, 0, 5, 0), 5);
}

static void test_only_stable_sessions_reset(void **state)
{
    Backoff b = BACKOFF_TUNNEL;

    (void) state;
    for (int i = 0; i < 4; i++)
        (void) backoff_next(&b, 0, 0, 0);
    backoff_session_ended(&b, 10 * USEC_PER_SEC - 1);
    assert_int_equal(b.tries, 4);
    backoff_session_ended(&b, 10 * USEC_PER_SEC);
    assert_int_equal(b.tries, 0);
    assert_int_equal(backoff_next(&b, UINT64_MAX, 0, 0), USEC_PER_SEC);
}

/* A load balancer that ends every connection after 30 s: most of the time the box is there all the same. */
static void test_a39_connections_that_are_always_cut(void **state)
{
    Backoff b = BACKOFF_TUNNEL;
    usec_t up = 0, down = 0;

    (void) state;
    for (int i = 0; i < 100; i++) {
        backoff_session_ended(&b, 30 * USEC_PER_SEC);
        up += 30 * USEC_PER_SEC;
        down += backoff_next(&b, UINT64_MAX, 0, 0); /* the longest */
    }
    assert_true(down * 30 <= up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceiling_doubles_to_the_cap),
        cmocka_unit_test(test_full_jitter_is_uniform),
        cmocka_unit_test(test_retry_after_is_a_floor),
        cmocka_unit_test(test_only_stable_sessions_reset),
        cmocka_unit_test(test_a39_connections_that_are_always_cut),
    };

    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
