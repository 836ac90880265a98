/* SPDX-License-Identifier: MIT */
/* Whatever a gateway says, a box that comes back again and again comes back slower and slower. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/tunnel/tunnel-state.h"

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
        { .lasted_usec = 0 },   { .goaway = true },     { .goaway = true, .lasted_usec = USEC_PER_SEC },
        { .http_status = 503 }, { .http_status = 404 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        assert_true(longest(ends[i], 0) <= USEC_PER_SEC);
        assert_true(longest(ends[i], 10) >= 100 * USEC_PER_SEC);
    }
}

static void test_what_the_gateway_asks_for_is_kept(void **state)
{
    TunnelEnd end = { .goaway = true,
                      .retry_after_usec = 20 * USEC_PER_SEC,
                      .spread_usec = 40 * USEC_PER_SEC,
                      .lasted_usec = USEC_PER_HOUR };
    Backoff b = BACKOFF_TUNNEL;

    (void) state;
    assert_true(tunnel_retry_delay(&end, &b, 0) >= end.retry_after_usec);
    assert_true(tunnel_retry_delay(&end, &b, UINT64_MAX) <= end.retry_after_usec + end.spread_usec);
}

/* Only what ends the connections of all boxes spreads them. */
static void test_whose_fault(void **state)
{
    static const struct {
        uint16_t code;
        const char *reason;
        bool gateway;
    } ends[] = {
        { 1006, "ws.gone", true },           { 1006, "stream.closed", true },       { 1006, NULL, true },
        { 1006, "ws.dead", false },          { 1006, "stream.unreachable", false }, { 1006, "stream.timeout", false },
        { 1001, "ws.closed", true },         { 1012, "ws.closed", true },           { 1013, "ws.closed", true },
        { 1000, "ws.closed", false },        { 1002, "ws.closed", false },          { 1008, "ws.closed", false },
        { 1006, "ws.close-timeout", false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
        assert_int_equal(tunnel_gateway_left(ends[i].code, ends[i].reason), ends[i].gateway);
}

/* Ten thousand boxes lose their gateway at once: they come back evenly over the spread. */
static void test_the_spread_is_even(void **state)
{
    enum { BOXES = 10000, SECONDS = 20 };
    const TunnelEnd end = { .goaway = true, .spread_usec = SECONDS * USEC_PER_SEC, .lasted_usec = USEC_PER_HOUR };
    unsigned in_second[SECONDS + 1] = {};
    uint64_t random = 1;

    (void) state;
    for (unsigned i = 0; i < BOXES; i++) {
        Backoff b = BACKOFF_TUNNEL;
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        in_second[tunnel_retry_delay(&end, &b, random ^ random >> 29) / USEC_PER_SEC]++;
    }
    /* the full jitter of the first try takes some out of the first second */
    for (unsigned i = 1; i < SECONDS; i++)
        assert_in_range(in_second[i], BOXES / SECONDS * 3 / 4, BOXES / SECONDS * 5 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_end_slows_down),
        cmocka_unit_test(test_what_the_gateway_asks_for_is_kept),
        cmocka_unit_test(test_whose_fault),
        cmocka_unit_test(test_the_spread_is_even),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
