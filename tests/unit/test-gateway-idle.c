/* SPDX-License-Identifier: MIT */
/* What counts as somebody's doing in a session, and what is only ssh keeping it alive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/sessions/idle.h"

#define START (1000 * USEC_PER_SEC)
/* of OpenSSH with chacha20-poly1305: a keepalive and its answer, a key and its echo */
#define KEEPALIVE_ASKED 52
#define KEEPALIVE_ANSWERED 28
#define KEY 36

static usec_t after_keepalives(usec_t interval, usec_t length)
{
    Idle i;
    usec_t now = START;

    idle_start(&i, now);
    idle_bytes(&i, 4000, now); /* the login */
    while (now < START + length) {
        now += interval;
        idle_bytes(&i, KEEPALIVE_ASKED, now);
        now += 20 * USEC_PER_MSEC;
        idle_bytes(&i, KEEPALIVE_ANSWERED, now);
    }
    return idle_time(&i, now);
}

static void test_keepalives_do_not_count(void **state)
{
    static const usec_t intervals[] = { 980 * USEC_PER_MSEC, 1 * USEC_PER_SEC,  1100 * USEC_PER_MSEC, 2 * USEC_PER_SEC,
                                        5 * USEC_PER_SEC,    15 * USEC_PER_SEC, 60 * USEC_PER_SEC };
    (void) state;
    for (size_t n = 0; n < sizeof(intervals) / sizeof(intervals[0]); n++) {
        usec_t idle = after_keepalives(intervals[n], 600 * USEC_PER_SEC);

        /* all but what came within 5 s of the login */
        if (idle < 595 * USEC_PER_SEC)
            fail_msg("a keepalive each %llu ms: idle for %llu ms only",
                     (unsigned long long) (intervals[n] / USEC_PER_MSEC), (unsigned long long) (idle / USEC_PER_MSEC));
    }
}

static void test_silence_is_idle(void **state)
{
    Idle i;

    (void) state;
    idle_start(&i, START);
    assert_true(idle_time(&i, START) == 0);
    assert_true(idle_time(&i, START - 1) == 0);
    assert_true(idle_time(&i, START + 90 * USEC_PER_SEC) == 90 * USEC_PER_SEC);
}

static void test_what_counts(void **state)
{
    Idle i;
    usec_t now = START + 100 * USEC_PER_SEC;

    (void) state;
    idle_start(&i, START);
    /* one byte less than an exchange that counts, and then that byte */
    idle_bytes(&i, 200, now);
    idle_bytes(&i, IDLE_EXCHANGE_BYTES - 200 - 1, now + USEC_PER_SEC - 1);
    assert_true(idle_time(&i, now) == 100 * USEC_PER_SEC);
    idle_bytes(&i, 1, now + USEC_PER_SEC - 1);
    assert_true(idle_time(&i, now + USEC_PER_SEC - 1) == 0);

    /* the same bytes over more than a second are two small exchanges */
    now += 100 * USEC_PER_SEC;
    idle_bytes(&i, 200, now);
    idle_bytes(&i, 200, now + USEC_PER_SEC);
    assert_true(idle_time(&i, now + USEC_PER_SEC) > 99 * USEC_PER_SEC);

    /* huge counts do not wrap around */
    now += 100 * USEC_PER_SEC;
    idle_bytes(&i, 1, now);
    idle_bytes(&i, SIZE_MAX, now);
    assert_true(idle_time(&i, now) == 0);
    idle_bytes(&i, SIZE_MAX, now);
    assert_true(idle_time(&i, now) == 0);
}

static void test_small_exchanges_behind_a_large_one(void **state)
{
    Idle i;

    (void) state;
    idle_start(&i, START);
    for (usec_t s = 1; s < 20; s++)
        idle_bytes(&i, 2 * KEY, START + s * USEC_PER_SEC + s);
    assert_true(idle_time(&i, START + 20 * USEC_PER_SEC) > 15 * USEC_PER_SEC);
    assert_true(idle_time(&i, START + 20 * USEC_PER_SEC) < 17 * USEC_PER_SEC);
}

/* Twenty minutes of somebody who types five keys, thinks for eight seconds, and types again. */
static void test_typing_counts(void **state)
{
    Idle i;
    usec_t now = START, longest = 0;

    (void) state;
    idle_start(&i, now);
    for (unsigned n = 0; n < 150; n++) {
        for (unsigned k = 0; k < 5; k++) {
            now += 180 * USEC_PER_MSEC;
            usec_t idle = idle_time(&i, now);
            longest = idle > longest ? idle : longest;
            idle_bytes(&i, KEY, now);
            idle_bytes(&i, KEY, now + 20 * USEC_PER_MSEC);
        }
        now += 8 * USEC_PER_SEC;
    }
    assert_true(longest < 10 * USEC_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keepalives_do_not_count),
        cmocka_unit_test(test_silence_is_idle),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_small_exchanges_behind_a_large_one),
        cmocka_unit_test(test_typing_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
