/* SPDX-License-Identifier: MIT */
/* What a package update that did not begin is said to have left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt-agent/agent/package-update-impl.h"

static void f24_what_did_not_begin_is_named(void **state)
{
    static const struct {
        PackageStep what;
        const char *sentence, *unit;
        bool unchanged; /* it says that nothing was changed */
    } rows[] = {
        { PACKAGE_STEP_ORDER, "the package update did not begin", "secbox-package-update.service", true },
        { PACKAGE_STEP_SECOND, "the first one stays updated", "secbox-package-update.service", false },
        { PACKAGE_STEP_VERDICT, "neither kept nor taken back yet", "secbox-package-verdict.service", false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(error_done) Error err = {};

        assert_int_equal(package_start_failed(rows[i].what, "exit status 4", &err), -EIO);
        assert_string_equal(error_id(&err), "agent-update.start");
        const char *said = error_message(&err, -EIO);
        assert_non_null(strstr(said, rows[i].sentence));
        assert_non_null(strstr(said, ": exit status 4; "));
        assert_non_null(strstr(said, rows[i].unit));
        assert_int_equal(strstr(said, "nothing was changed") != NULL, rows[i].unchanged);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f24_what_did_not_begin_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
