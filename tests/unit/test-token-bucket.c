/* SPDX-License-Identifier: MIT */
/* What a bucket lets through over any time, how it fills, and the line of those who were sent away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/token-bucket.h"

#define START (UINT64_C(5) * USEC_PER_DAY)

static unsigned drain(TokenBucket *b, usec_t now)
{
    unsigned n = 0;
    while (token_bucket_take(b, now))
        n++;
    return n;
}

static void test_burst_then_rate(void **state)
{
    TokenBucket b = token_bucket_make(500, 200, START);

    (void) state;
    assert_int_equal(drain(&b, START), 200);
    assert_false(token_bucket_has(&b, START + 1999));
    assert_true(token_bucket_has(&b, START + 2000));
    assert_true(token_bucket_take(&b, START + 2000));
    assert_false(token_bucket_take(&b, START + 3999));
    assert_int_equal(drain(&b, START + 102 * USEC_PER_MSEC), 50);
    assert_int_equal(drain(&b, START + USEC_PER_DAY), 200);
}

/* However often it is asked, and at which moments, no more than burst + rate * time comes out, and no less. */
static void test_nothing_is_lost_in_small_steps(void **state)
{
    static const uint64_t rates[] = { 1, 3, 7, 500, 999, 65537, TOKEN_RATE_MAX };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(rates); i++) {
        TokenBucket b = token_bucket_make(rates[i], 10, START);
        uint64_t taken = 0;
        usec_t step = 7, end = 3 * USEC_PER_SEC;
        for (usec_t t = 0; t < end; t += step)
            taken += drain(&b, START + t);
        taken += drain(&b, START + end);
        assert_in_range(taken, 10 + 3 * rates[i] - 1, 10 + 3 * rates[i]);
    }
}

static void test_odd_values(void **state)
{
    TokenBucket none = token_bucket_make(0, 0, START), most = token_bucket_make(UINT64_MAX, UINT64_MAX, 0);

    (void) state;
    assert_int_equal(drain(&none, START), 1);
    assert_int_equal(drain(&none, START + USEC_PER_SEC), 1);
    assert_int_equal(drain(&most, 0), TOKEN_RATE_MAX);
    assert_int_equal(drain(&most, USEC_INFINITY), TOKEN_RATE_MAX);
    /* a clock that is behind gives nothing and takes nothing */
    TokenBucket b = token_bucket_make(1, 1, START);
    assert_true(token_bucket_take(&b, START));
    assert_false(token_bucket_take(&b, 0));
    assert_true(token_bucket_take(&b, START + USEC_PER_SEC));
}

static void test_the_line_moves_at_the_rate(void **state)
{
    TokenBucket b = token_bucket_make(100, 10, START);

    (void) state;
    (void) drain(&b, START);
    for (unsigned i = 1; i <= 1000; i++)
        assert_int_equal(token_bucket_queue(&b, START), i * 10 * USEC_PER_MSEC);
    /* five seconds later half of them have had their turn */
    assert_int_equal(token_bucket_queue(&b, START + 5 * USEC_PER_SEC), 5010 * USEC_PER_MSEC);
    assert_int_equal(token_bucket_queue(&b, START + USEC_PER_MINUTE), 10 * USEC_PER_MSEC);
}

static void test_the_line_is_bounded(void **state)
{
    TokenBucket b = token_bucket_make(1, 1, START);

    (void) state;
    for (unsigned i = 0; i < 10000; i++)
        assert_true(token_bucket_queue(&b, START) <= USEC_PER_HOUR);
    assert_int_equal(token_bucket_queue(&b, START), USEC_PER_HOUR);
    assert_int_equal(token_bucket_queue(&b, START + 2 * USEC_PER_HOUR), USEC_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),     cmocka_unit_test(test_nothing_is_lost_in_small_steps),
        cmocka_unit_test(test_odd_values),          cmocka_unit_test(test_the_line_moves_at_the_rate),
        cmocka_unit_test(test_the_line_is_bounded),
    };

    return cmocka_run_group_tests_name("token-bucket", tests, NULL, NULL);
}
