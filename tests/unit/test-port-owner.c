/* SPDX-License-Identifier: MIT */
/* Which unit of the system a process belongs to: what is printed is stopped by root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/net/port-owner.h"

static const struct {
    const char *text, *unit;
} cases[] = {
    { "0::/system.slice/nginx.service\n", "nginx.service" },
    { "0::/system.slice/mgmt-agent.service/payload\n", "mgmt-agent.service" },
    { "1:name=systemd:/init.scope\n0::/system.slice/nginx.service\n", "nginx.service" },
    { "0::/user.slice/user-1000.slice/user@1000.service/system.slice/ssh.service\n", NULL },
    { "0::/user.slice/user-1000.slice/x\n0::/user.slice/system.slice/ssh.service\n", NULL },
    { "1:name=systemd:/system.slice/ssh.service\n", NULL },
    { "0::/system.slice/a b.service\n", NULL },
    { "0::/system.slice/$(id).service\n", NULL },
    { "0::/system.slice/run-1.scope\n", NULL },
    { "0::/system.slice/\n", NULL },
    { "", NULL },
};

static void test_unit(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *unit = cgroup_unit(cases[i].text);

        if (cases[i].unit) {
            assert_non_null(unit);
            assert_string_equal(unit, cases[i].unit);
        } else
            assert_null(unit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
