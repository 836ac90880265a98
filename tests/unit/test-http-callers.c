/* SPDX-License-Identifier: MIT */
/* Who counts as one caller, and who is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/http/callers.h"

static void test_one_caller(void **state)
{
    (void) state;
    _cleanup_(http_callers_freep) HttpCallers *cs = http_callers_new();
    HttpCaller *first = http_caller_hold(cs, "192.0.2.1:443");
    HttpCaller *second = http_caller_hold(cs, "[2001:db8::1]:443");
    assert_ptr_equal(http_caller_hold(cs, "192.0.2.1:444"), first);
    assert_ptr_equal(http_caller_hold(cs, "[2001:db8::ffff:2]:1"), second);
    assert_int_equal(first->n_conns, 2);
    HttpCaller *other = http_caller_hold(cs, "[2001:db8:0:1::1]:443");
    assert_true(other != second);
    assert_int_equal(http_callers_count(cs), 3);
    http_caller_release(cs, other);
    http_caller_release(cs, first);
    assert_int_equal(http_callers_count(cs), 2);
    http_caller_release(cs, first);
    http_caller_release(cs, second);
    http_caller_release(cs, second);
    http_caller_release(cs, NULL);
    assert_int_equal(http_callers_count(cs), 0);
}

static HttpCaller *numbered(HttpCallers *cs, unsigned i)
{
    char address[32];
    (void) snprintf(address, sizeof address, "10.%u.%u.%u:1", i >> 16 & 255, i >> 8 & 255, i & 255);
    return http_caller_hold(cs, address);
}

static void test_the_known_are_remembered(void **state)
{
    (void) state;
    _cleanup_(http_callers_freep) HttpCallers *cs = http_callers_new();
    HttpCaller *here = numbered(cs, 0);
    http_caller_note_known(cs, here);
    for (unsigned i = 1; i <= HTTP_CALLERS_KNOWN_MAX; i++) {
        HttpCaller *c = numbered(cs, i);
        http_caller_note_known(cs, c);
        http_caller_note_known(cs, c);
        http_caller_release(cs, c);
    }
    /* the oldest is known no more; it stays as long as it is held */
    assert_false(here->known);
    assert_int_equal(http_callers_count(cs), HTTP_CALLERS_KNOWN_MAX + 1);
    http_caller_release(cs, here);
    assert_int_equal(http_callers_count(cs), HTTP_CALLERS_KNOWN_MAX);
    HttpCaller *last = numbered(cs, HTTP_CALLERS_KNOWN_MAX);
    assert_true(last->known);
    /* one more that is not held goes at once */
    http_caller_note_known(cs, numbered(cs, HTTP_CALLERS_KNOWN_MAX + 1));
    assert_int_equal(http_callers_count(cs), HTTP_CALLERS_KNOWN_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_caller),
        cmocka_unit_test(test_the_known_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
