/* SPDX-License-Identifier: MIT */
/* Timers on one clock: none early, none forgotten, and what callbacks may do to each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/event/coarse-timer.h"
#include "lib/event/daemon.h"

typedef struct World World;

typedef struct One {
    World *world;
    CoarseTimer timer;
    usec_t due, fired_at;
    unsigned fired;
    struct One *other; /* disarmed when this one fires */
    bool again;
} One;

struct World {
    sd_event *event;
    CoarseClock *clock;
    unsigned fired;
};

static int setup(void **state)
{
    World *w = calloc(1, sizeof(*w));
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(coarse_clock_new(w->event, &w->clock) >= 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    coarse_clock_unref(w->clock);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

static void arm(World *w, One *one, usec_t delay);

static void fire(void *userdata)
{
    One *one = userdata;
    one->fired_at = boottime_usec();
    one->fired++;
    one->world->fired++;
    assert_true(one->fired_at >= one->due);
    if (one->other)
        coarse_timer_disarm(&one->other->timer);
    if (one->again) {
        one->again = false;
        arm(one->world, one, 0);
    }
}

static void arm(World *w, One *one, usec_t delay)
{
    one->world = w;
    one->due = boottime_usec() + delay;
    assert_true(coarse_timer_arm(w->clock, &one->timer, delay, fire, one) >= 0);
}

static void run(World *w, unsigned fired)
{
    while (w->fired < fired)
        assert_true(sd_event_run(w->event, 10 * USEC_PER_SEC) >= 0);
}

static void test_none_is_early_none_is_forgotten(void **state)
{
    static const usec_t delays[] = {
        0, 1, 10 * USEC_PER_MSEC, 999 * USEC_PER_MSEC, USEC_PER_SEC, 1500 * USEC_PER_MSEC
    };
    One ones[ELEMENTSOF(delays)] = {};
    World *w = *state;
    for (size_t i = 0; i < ELEMENTSOF(delays); i++)
        arm(w, &ones[i], delays[i]);
    ones[0].again = true;
    run(w, ELEMENTSOF(delays) + 1);
    assert_int_equal(ones[0].fired, 2);
    for (size_t i = 1; i < ELEMENTSOF(delays); i++)
        assert_int_equal(ones[i].fired, 1);
}

/* What lies in the same slot of the wheel for a later turn stays there. */
static void test_later_turns_wait(void **state)
{
    World *w = *state;
    One soon = {}, later = {}, never = {};
    arm(w, &later, 64 * USEC_PER_SEC);
    arm(w, &soon, 0);
    arm(w, &never, USEC_INFINITY);
    run(w, 1);
    assert_int_equal(soon.fired, 1);
    assert_int_equal(later.fired + never.fired, 0);
    coarse_timer_disarm(&later.timer);
    coarse_timer_disarm(&later.timer);
    coarse_timer_disarm(&never.timer);
    /* with nobody left the loop sleeps, after one last look at the most */
    (void) sd_event_run(w->event, 2 * COARSE_STEP);
    assert_int_equal(sd_event_run(w->event, 2 * COARSE_STEP), 0);
}

static void test_callbacks_disarm_each_other(void **state)
{
    World *w = *state;
    One ones[3] = {};
    for (size_t i = 0; i < ELEMENTSOF(ones); i++) {
        ones[i].other = &ones[(i + 1) % ELEMENTSOF(ones)];
        arm(w, &ones[i], 1);
    }
    arm(w, &ones[0], 0); /* armed again is moved, not doubled */
    run(w, 1);
    assert_true(w->fired <= 2);
}

static void end_clock(void *userdata)
{
    World *w = userdata;
    w->clock = coarse_clock_unref(w->clock);
    w->fired++;
}

static void test_the_clock_ends_in_a_callback(void **state)
{
    World *w = *state;
    CoarseTimer first = {}, second = {};
    assert_true(coarse_timer_arm(w->clock, &first, 0, end_clock, w) >= 0);
    assert_true(coarse_timer_arm(w->clock, &second, 0, end_clock, w) >= 0);
    run(w, 1);
    assert_int_equal(w->fired, 1);
    coarse_timer_disarm(&first);
    coarse_timer_disarm(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none_is_early_none_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_turns_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_callbacks_disarm_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_ends_in_a_callback, setup, teardown),
    };
    return cmocka_run_group_tests_name("coarse-timer", tests, NULL, NULL);
}
