/* SPDX-License-Identifier: MIT */
/* Who may speak to the pairing page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "secbox/pairing/page.h"

static void test_hosts(void **state)
{
    static const char *const ours[] = { "192.168.1.20",   "192.168.1.20:8080", "[fd00::1]:8080",   "127.0.0.1",
                                        "localhost:8080", "secbox.local",      "SecBox.local:8080" };
    static const char *const others[] = { "",
                                          "evil.example",
                                          "192.168.1.20.evil.example",
                                          "secbox.local.evil.example",
                                          "[fd00::1",
                                          "192.168.1.20@evil.example",
                                          "1.2.3" };

    (void) state;
    assert_false(page_host_is_ours(NULL));
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (!page_host_is_ours(ours[i]))
            fail_msg("%s", ours[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (page_host_is_ours(others[i]))
            fail_msg("%s", others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
