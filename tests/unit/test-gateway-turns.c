/* SPDX-License-Identifier: MIT */
/* Who is asked next: never the same ones while others wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/health/turns.h"
#include "lib/base/mem.h"

#define WAITING 1000
#define PLACES 8

static void test_those_whose_time_came_first(void **state _unused_)
{
    static const usec_t dues[] = { 5, 3, 9, 3, 1, 7 };
    int items[ELEMENTSOF(dues)];
    Turns t = {};

    for (size_t i = 0; i < ELEMENTSOF(dues); i++)
        turns_add(&t, 3, &items[i], dues[i]);
    assert_int_equal(t.n, 3);
    assert_ptr_equal(t.next[0].item, &items[4]);
    assert_ptr_equal(t.next[1].item, &items[1]);
    assert_ptr_equal(t.next[2].item, &items[3]);
}

static void test_no_more_than_there_are_places(void **state _unused_)
{
    int item;
    Turns t = {};

    turns_add(&t, 0, &item, 1);
    assert_int_equal(t.n, 0);
    for (size_t i = 0; i < 2 * TURNS_MAX; i++)
        turns_add(&t, SIZE_MAX, &item, i % 7);
    assert_int_equal(t.n, TURNS_MAX);
    for (size_t i = 1; i < t.n; i++)
        assert_true(t.next[i - 1].due <= t.next[i].due);
}

/* Each is due again at once when it was served, as those are that always change: nobody waits for longer than one round of all. */
static void test_everybody_has_a_turn(void **state _unused_)
{
    usec_t due[WAITING] = {}, now = 1;
    unsigned served[WAITING] = {};

    for (; now <= WAITING / PLACES; now++) {
        Turns t = {};

        for (size_t i = 0; i < WAITING; i++)
            turns_add(&t, PLACES, &due[i], due[i]);
        assert_int_equal(t.n, PLACES);
        for (size_t i = 0; i < t.n; i++) {
            usec_t *one = t.next[i].item;
            served[one - due]++;
            *one = now;
        }
    }
    for (size_t i = 0; i < WAITING; i++)
        assert_int_equal(served[i], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_those_whose_time_came_first),
        cmocka_unit_test(test_no_more_than_there_are_places),
        cmocka_unit_test(test_everybody_has_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
