/* SPDX-License-Identifier: MIT */
/* Linked to every unit test: TEST_FILTER=PATTERN in the environment runs only the tests whose names match it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static __attribute__((constructor)) void choose_tests(void)
{
    const char *pattern = getenv("TEST_FILTER");

    if (pattern)
        cmocka_set_test_filter(pattern);
}
