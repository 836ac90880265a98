/* SPDX-License-Identifier: MIT */
/* How long a container that is not healthy yet is waited for: by its check's own interval, retries and start period. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mgmt-agent/worker/phases/health-trial.h"

#define STARTED (1000 * USEC_PER_SEC)
#define POLL (2 * USEC_PER_SEC)

/* When a container whose check never passes is unhealthy, after its start, asked every two seconds; a check takes `taken`. */
static usec_t unhealthy_after(const HealthRules *rules, usec_t taken)
{
    HealthTrial t = health_trial_new(rules, STARTED);
    usec_t now = STARTED;

    while (!health_trial_failed(&t, rules, now, now + taken))
        now += taken + POLL;
    return now + taken - STARTED;
}

static void assert_about(usec_t value, usec_t wanted, usec_t slack)
{
    assert_in_range(value, wanted, wanted + slack);
}

static void test_u04_interval_and_retries(void **state)
{
    HealthRules rules = { .interval = 30 * USEC_PER_SEC, .timeout = 30 * USEC_PER_SEC, .retries = 3 };

    (void) state;
    assert_about(unhealthy_after(&rules, 0), 90 * USEC_PER_SEC, 3 * POLL);
    rules.retries = 1;
    assert_about(unhealthy_after(&rules, 0), 30 * USEC_PER_SEC, POLL);
    rules.interval = POLL / 2;
    rules.retries = 4;
    assert_about(unhealthy_after(&rules, 0), 4 * rules.interval, 4 * POLL);
}

static void test_a_slow_check(void **state)
{
    HealthRules rules = { .interval = 10 * USEC_PER_SEC, .timeout = 30 * USEC_PER_SEC, .retries = 2 };

    (void) state;
    /* the interval lies between the end of one check and the beginning of the next; those between may delay each by one */
    assert_about(unhealthy_after(&rules, 30 * USEC_PER_SEC), 2 * (10 + 30) * USEC_PER_SEC, 2 * 32 * USEC_PER_SEC);
}

static void test_u05_start_period(void **state)
{
    HealthRules rules = {
        .interval = 30 * USEC_PER_SEC, .timeout = USEC_PER_SEC, .retries = 3, .start_period = 15 * USEC_PER_MINUTE
    };

    (void) state;
    assert_about(unhealthy_after(&rules, 0), 16 * USEC_PER_MINUTE, 3 * POLL);
    rules.start_period = 10 * USEC_PER_SEC; /* shorter than the interval: the first check comes after that anyway */
    assert_about(unhealthy_after(&rules, 0), 90 * USEC_PER_SEC, 3 * POLL);
}

/* One that was proved late has had its start period, but every failure must be seen. */
static void test_looked_at_late(void **state)
{
    HealthRules rules = { .interval = 30 * USEC_PER_SEC, .timeout = USEC_PER_SEC, .retries = 2 };
    HealthTrial t = health_trial_new(&rules, STARTED);
    usec_t now = STARTED + USEC_PER_HOUR;

    (void) state;
    assert_false(health_trial_failed(&t, &rules, now, now));
    assert_false(health_trial_failed(&t, &rules, now + POLL, now + POLL));
    assert_true(health_trial_failed(&t, &rules, now + rules.interval, now + rules.interval));
    assert_int_equal(t.failures, 2);
}

static void test_an_end_in_any_case(void **state)
{
    HealthRules rules = {
        .interval = USEC_PER_HOUR, .timeout = USEC_PER_SEC, .retries = 1000, .start_period = USEC_PER_DAY
    };

    (void) state;
    assert_about(unhealthy_after(&rules, 0), HEALTH_WAIT_MAX_USEC, POLL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u04_interval_and_retries), cmocka_unit_test(test_a_slow_check),
        cmocka_unit_test(test_u05_start_period),         cmocka_unit_test(test_looked_at_late),
        cmocka_unit_test(test_an_end_in_any_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
