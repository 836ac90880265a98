/* SPDX-License-Identifier: MIT */
/* Whatever a gateway says, a box that comes back again and again comes back slower and slower. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/net/tunnel-state.h"

/* The longest delay before try n, whatever the random number. */
static usec_t longest(TunnelEnd end, unsigned n)
{
    Backoff b = BACKOFF_TUNNEL;
    usec_t delay = 0;

    for (unsigned i = 0; i <= n; i++)
        delay = tunnel_retry_delay(&end, &b, UINT64_MAX);
    return delay;
}

static void test_each_end_slows_down(void **state)
{
    static const TunnelEnd ends[] = {
        { .lasted_usec = 0 },
        { .goaway = true },
        { .goaway = true, .lasted_usec = USEC_PER_SEC },
        { .http_status = 503 },
        { .http_status = 404 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        assert_true(longest(ends[i], 0) <= USEC_PER_SEC);
        assert_true(longest(ends[i], 10) >= 100 * USEC_PER_SEC);
    }
}

static void test_what_the_gateway_asks_for_is_kept(void **state)
{
    TunnelEnd end = { .goaway = true, .retry_after_usec = 20 * USEC_PER_SEC, .spread_usec = 40 * USEC_PER_SEC,
                      .lasted_usec = USEC_PER_HOUR };
    Backoff b = BACKOFF_TUNNEL;

    (void) state;
    assert_true(tunnel_retry_delay(&end, &b, 0) >= end.retry_after_usec);
    assert_true(tunnel_retry_delay(&end, &b, UINT64_MAX) <= end.retry_after_usec + end.spread_usec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_end_slows_down),
        cmocka_unit_test(test_what_the_gateway_asks_for_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
