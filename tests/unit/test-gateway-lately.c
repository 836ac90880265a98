/* SPDX-License-Identifier: MIT */
/* What is written down once, and not with each piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/cameras/lately.h"

#define START (7 * USEC_PER_DAY)

static void test_once_in_a_while(void **state)
{
    (void) state;
    _cleanup_(lately_freep) Lately *l = lately_new(USEC_PER_HOUR);

    assert_non_null(l);
    assert_true(lately_is_news(l, "a", START));
    assert_false(lately_is_news(l, "a", START));
    assert_true(lately_is_news(l, "b", START));
    assert_false(lately_is_news(l, "a", START + USEC_PER_HOUR - 1));
    assert_true(lately_is_news(l, "a", START + USEC_PER_HOUR));
    assert_false(lately_is_news(l, "a", START + USEC_PER_HOUR + 1));
}

/* Whoever fills it hides nothing. */
static void test_more_than_is_kept(void **state)
{
    (void) state;
    _cleanup_(lately_freep) Lately *l = lately_new(USEC_PER_HOUR);
    char what[16];

    assert_non_null(l);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(what, sizeof(what), "%u", i);
        assert_true(lately_is_news(l, what, START));
    }
    assert_false(lately_is_news(l, "0", START + 1));
    assert_true(lately_is_news(l, "4999", START + 1));
    /* what is over makes room */
    assert_true(lately_is_news(l, "4999", START + USEC_PER_HOUR));
    assert_false(lately_is_news(l, "4999", START + USEC_PER_HOUR + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_in_a_while),
        cmocka_unit_test(test_more_than_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
