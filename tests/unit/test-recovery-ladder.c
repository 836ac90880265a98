/* SPDX-License-Identifier: MIT */
/* Which step is taken when, and the budget that bounds them across reboots and wrong clocks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/data/json.h"
#include "recovery-agent/ladder.h"

#define SEC USEC_PER_SEC
#define HOUR USEC_PER_HOUR

static const LadderOptions options = {
    .act = true,
    .reboot = true,
    .restart_after = 30 * SEC,
    .recreate_after = 180 * SEC,
    .reboot_after = 1200 * SEC,
    .remote_after = 150 * SEC,
    .settle = 60 * SEC,
};
static const usec_t start = 10000 * SEC;

static LadderInput wedge(usec_t after)
{
    return (LadderInput) {
        .now = { .boottime = start + after, .boot_id = "boot-1", .wall = 1767225600 + after / SEC },
        .wedged = true,
        .local = true,
        .since = start,
        .was_healthy = true,
        .tunnel_up = true,
    };
}

/* The steps of one wedge that nothing helps against, second by second, as "step@second …". */
static void play(const LadderOptions *o, const LadderInput *facts, unsigned seconds, char *out, size_t size)
{
    Ladder l = {};
    Budget b = {};

    out[0] = '\0';
    for (unsigned s = 0; s < seconds; s++) {
        LadderInput in = *facts;
        in.now.boottime = start + s * SEC;
        in.now.wall += s;
        LadderStep step = ladder_next(&l, o, &b, &in);
        if (step == STEP_NONE)
            continue;
        if (step != STEP_RECONNECT)
            budget_spend(&b, step, &in.now);
        size_t n = strlen(out);
        snprintf(out + n, size - n, "%s%s@%u", n ? " " : "", ladder_step_name(step), s);
        ladder_ended(&l, o, step, true, in.now.boottime);
    }
}

static void test_the_whole_ladder(void **state)
{
    LadderInput in = wedge(0);
    char steps[512];

    (void) state;
    play(&options, &in, 1300, steps, sizeof(steps));
    assert_string_equal(steps, "reconnect@0 restart@30 recreate@180 reboot@1200");
}

static void test_what_only_the_far_end_sees_waits_and_never_reboots(void **state)
{
    LadderInput in = wedge(0);
    char steps[512];

    (void) state;
    in.local = false;
    play(&options, &in, 1800, steps, sizeof(steps));
    assert_string_equal(steps, "reconnect@0 restart@180 recreate@330");
}

static void test_variants(void **state)
{
    LadderOptions o = options;
    LadderInput in = wedge(0);
    char steps[512];

    (void) state;
    o.reboot = false;
    play(&o, &in, 1800, steps, sizeof(steps));
    assert_string_equal(steps, "reconnect@0 restart@30 recreate@180");
    in.tunnel_up = false;
    play(&o, &in, 1800, steps, sizeof(steps));
    assert_string_equal(steps, "restart@30 recreate@180");
    in.was_healthy = false;
    play(&options, &in, 1800, steps, sizeof(steps));
    assert_string_equal(steps, "");
    in = wedge(0);
    in.no_service = true;
    play(&options, &in, 1800, steps, sizeof(steps));
    assert_string_equal(steps, "reboot@1200");
    in = wedge(0);
    in.operator_in = true;
    play(&options, &in, 1800, steps, sizeof(steps));
    assert_string_equal(steps, "");
    o.act = false;
    in.operator_in = false;
    play(&o, &in, 1800, steps, sizeof(steps));
    assert_string_equal(steps, "");
}

/* For ever: bounded by the budget, from the restart again after half an hour. */
static void test_a_day_of_it(void **state)
{
    LadderInput in = wedge(0);
    static char steps[65536];
    unsigned restarts = 0, reboots = 0;

    (void) state;
    play(&options, &in, 86400, steps, sizeof(steps));
    for (const char *p = steps; (p = strstr(p, "restart@")); p++)
        restarts++;
    for (const char *p = steps; (p = strstr(p, "reboot@")); p++)
        reboots++;
    assert_int_equal(restarts, 10);
    assert_int_equal(reboots, 3);
}

static void test_healing_and_refusal(void **state)
{
    Ladder l = {};
    Budget b = {};
    LadderInput in = wedge(40 * SEC);

    (void) state;
    assert_int_equal(ladder_next(&l, &options, &b, &in), STEP_RECONNECT);
    ladder_ended(&l, &options, STEP_RECONNECT, true, in.now.boottime);
    assert_int_equal(ladder_next(&l, &options, &b, &in), STEP_RESTART);
    /* a deployment is under way: asked again after a while, not the next step */
    ladder_ended(&l, &options, STEP_RESTART, false, in.now.boottime);
    in.now.boottime += 19 * SEC;
    assert_int_equal(ladder_next(&l, &options, &b, &in), STEP_NONE);
    in.now.boottime += 1 * SEC;
    assert_int_equal(ladder_next(&l, &options, &b, &in), STEP_RESTART);
    in.wedged = false;
    assert_int_equal(ladder_next(&l, &options, &b, &in), STEP_NONE);
    in.wedged = true;
    assert_int_equal(ladder_next(&l, &options, &b, &in), STEP_RECONNECT); /* another wedge, from the beginning */
}

/* A service that flaps every 20 s is restarted once in two minutes. */
static void test_flapping(void **state)
{
    Ladder l = {};
    Budget b = {};
    LadderOptions o = options;
    unsigned restarts = 0;

    (void) state;
    o.restart_after = 0;
    for (unsigned s = 0; s < 600; s += 10) {
        LadderInput in = wedge(s * SEC);
        in.since = in.now.boottime;
        in.wedged = s % 20 == 0;
        for (LadderStep step; (step = ladder_next(&l, &o, &b, &in)) != STEP_NONE;) {
            if (step == STEP_RESTART)
                restarts++;
            if (step != STEP_RECONNECT)
                budget_spend(&b, step, &in.now);
            ladder_ended(&l, &o, step, true, in.now.boottime);
        }
    }
    assert_int_equal(restarts, 5);
}

static unsigned reboots_left(const Budget *b, usec_t boottime, const char *boot_id, uint64_t wall)
{
    const LadderTime now = { .boottime = boottime, .boot_id = boot_id, .wall = wall };

    return budget_left(b, STEP_REBOOT, &now);
}

static void test_reboots_across_boots(void **state)
{
    Budget b = {};
    const uint64_t wall = 1767225600;
    const LadderTime at = { .boottime = HOUR, .boot_id = "boot-1", .wall = wall };

    (void) state;
    assert_int_equal(reboots_left(&b, HOUR, "boot-1", wall), 1);
    budget_spend(&b, STEP_REBOOT, &at);
    assert_int_equal(reboots_left(&b, HOUR, "boot-1", wall), 0);
    /* the next boot, with a good clock */
    assert_int_equal(reboots_left(&b, 60 * SEC, "boot-2", wall + 90), 0);
    assert_int_equal(reboots_left(&b, 60 * SEC, "boot-2", wall + 3599), 0);
    assert_int_equal(reboots_left(&b, 60 * SEC, "boot-2", wall + 3600), 1);
    /* with a clock that stands anywhere: only the time since the boot counts */
    assert_int_equal(reboots_left(&b, 60 * SEC, "boot-2", 0), 0);
    assert_int_equal(reboots_left(&b, 60 * SEC, "boot-2", 100), 0);
    assert_int_equal(reboots_left(&b, HOUR, "boot-2", 0), 1);
    /* a clock that jumps ahead within one boot frees nothing */
    assert_int_equal(reboots_left(&b, HOUR + 60 * SEC, "boot-1", wall + 100000000), 0);
}

static void test_a_reboot_that_does_not_come_is_missed(void **state)
{
    (void) state;
    LadderInput in = wedge(1200 * SEC);
    Budget b = {};
    assert_false(ladder_misses_reboot(&options, &b, &in)); /* nobody has asked */
    budget_spend(&b, STEP_RESTART, &in.now);
    assert_false(ladder_misses_reboot(&options, &b, &in));
    budget_spend(&b, STEP_REBOOT, &in.now);
    in.now.boottime += 1;
    assert_true(ladder_misses_reboot(&options, &b, &in));
    in.operator_in = true;
    assert_false(ladder_misses_reboot(&options, &b, &in));
    in.operator_in = false;
    in.wedged = false;
    assert_false(ladder_misses_reboot(&options, &b, &in));
    in.wedged = true;
    in.local = false;
    assert_false(ladder_misses_reboot(&options, &b, &in));
    in.local = true;
    in.since = in.now.boottime - 60 * SEC; /* another wedge, which it is too early to reboot for */
    assert_false(ladder_misses_reboot(&options, &b, &in));
    in.since = start;
    in.now.boot_id = "boot-2"; /* it has come */
    assert_false(ladder_misses_reboot(&options, &b, &in));
    in.now.boot_id = "boot-1";
    in.now.boottime += HOUR; /* the next one is due */
    assert_false(ladder_misses_reboot(&options, &b, &in));
}

static void test_three_reboots_a_day(void **state)
{
    Budget b = {};
    const uint64_t wall = 1767225600;

    (void) state;
    for (unsigned i = 0; i < 3; i++) {
        const LadderTime at = { .boottime = 2 * HOUR, .boot_id = "boot", .wall = wall + i * 7200 };
        b.n = i;
        budget_spend(&b, STEP_REBOOT, &at);
        memcpy(b.entries[i].boot_id, "old", 4);
    }
    assert_int_equal(reboots_left(&b, HOUR, "new", wall + 4 * 7200), 0);
    assert_int_equal(reboots_left(&b, HOUR, "new", wall + 86400 - 1), 0);
    assert_int_equal(reboots_left(&b, HOUR, "new", wall + 86400), 1);
    budget_refund(&b);
    assert_int_equal(reboots_left(&b, HOUR, "new", wall + 4 * 7200), 1);
}

static void test_budget_is_bounded_and_survives(void **state)
{
    Budget b = {}, back = {};
    LadderTime now = { .boottime = 0, .boot_id = "0b9d3c1e-64f7-4f0a-9a51-7c0e6a2f1d88", .wall = 1767225600 };

    (void) state;
    for (unsigned i = 0; i < 100; i++) {
        now.boottime += 100 * SEC;
        budget_spend(&b, (LadderStep) (STEP_RESTART + i % 3), &now);
    }
    assert_int_equal(b.n, BUDGET_ENTRIES_MAX);
    _cleanup_(cJSON_Deletep) cJSON *json = budget_to_json(&b);
    assert_int_equal(budget_from_json(json, &back), 0);
    assert_memory_equal(&b, &back, sizeof(b));

    static const char *const damaged[] = {
        "{}",
        "[1]",
        "[{}]",
        "[{\"step\":\"none\",\"boot\":\"b\",\"uptime\":\"1\",\"at\":\"1\"}]",
        "[{\"step\":\"reboot\",\"boot\":\"b\",\"uptime\":\"-1\",\"at\":\"1\"}]",
        "[{\"step\":\"reboot\",\"boot\":\"0123456789012345678901234567890123456\",\"uptime\":\"1\",\"at\":\"1\"}]",
    };
    for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
        _cleanup_(cJSON_Deletep) cJSON *o = cJSON_Parse(damaged[i]);
        assert_non_null(o);
        assert_int_equal(budget_from_json(o, &back), -EINVAL);
    }
    assert_int_equal(budget_from_json(NULL, &back), -EINVAL);
    assert_int_equal(back.n, BUDGET_ENTRIES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_whole_ladder),
        cmocka_unit_test(test_what_only_the_far_end_sees_waits_and_never_reboots),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_a_day_of_it),
        cmocka_unit_test(test_healing_and_refusal),
        cmocka_unit_test(test_flapping),
        cmocka_unit_test(test_reboots_across_boots),
        cmocka_unit_test(test_a_reboot_that_does_not_come_is_missed),
        cmocka_unit_test(test_three_reboots_a_day),
        cmocka_unit_test(test_budget_is_bounded_and_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
