/* SPDX-License-Identifier: MIT */
/* DNS rebinding, and pages of other sites. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/strv.h"
#include "lib/http/origin.h"

static bool is_box(const char *name, void *userdata)
{
    return str_equal(name, userdata);
}

static void test_hosts(void **state)
{
    static const char *const ours[] = { "192.168.1.20", "192.168.1.20:8080", "[fd00::1]:8080", "[fd00::1]",
                                        "127.0.0.1",    "box.local",         "box.local:8443" };
    static const char *const others[] = { "",
                                          "evil.example",
                                          "192.168.1.20.evil.example",
                                          "box.local.evil.example",
                                          "[fd00::1",
                                          "192.168.1.20@evil.example",
                                          "1.2.3" };

    (void) state;
    assert_false(http_host_is_ours(NULL, is_box, "box.local"));
    for (size_t i = 0; i < ELEMENTSOF(ours); i++)
        if (!http_host_is_ours(ours[i], is_box, "box.local"))
            fail_msg("%s", ours[i]);
    for (size_t i = 0; i < ELEMENTSOF(others); i++)
        if (http_host_is_ours(others[i], is_box, "box.local"))
            fail_msg("%s", others[i]);
}

static void test_origins(void **state)
{
    static const struct {
        const char *scheme, *origin, *site;
        bool elsewhere;
    } cases[] = {
        { "http", NULL, NULL, false },
        { "http", NULL, "none", false },
        { "http", "http://192.168.1.20:8080", "same-origin", false },
        { "https", "https://192.168.1.20:8080", NULL, false },
        { "https", "http://192.168.1.20:8080", NULL, true },
        { "http", "https://192.168.1.20:8080", NULL, true },
        { "http", "http://192.168.1.20", "same-origin", true },
        { "http", "http://evil.example", NULL, true },
        { "http", "null", NULL, true },
        { "http", NULL, "cross-site", true },
        { "http", NULL, "same-site", true },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        if (http_is_from_elsewhere(cases[i].scheme, "192.168.1.20:8080", cases[i].origin, cases[i].site) !=
            cases[i].elsewhere)
            fail_msg("case %zu", i);
    assert_true(http_is_from_elsewhere("http", NULL, "http://", NULL));
}

static void test_origin_of_a_url(void **state)
{
    static const char *const cases[] = { "https://cloud.example",
                                         "https://cloud.example",
                                         "https://Cloud.Example:443/base?x#y",
                                         "https://cloud.example",
                                         "HTTPS://cloud.example:8443/",
                                         "https://cloud.example:8443",
                                         "http://cloud.example:80",
                                         "http://cloud.example",
                                         "http://cloud.example:443",
                                         "http://cloud.example:443",
                                         "https://cloud.example:80?",
                                         "https://cloud.example:80",
                                         "https://[FD00::1]:443",
                                         "https://[fd00::1]" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i += 2) {
        _cleanup_(freep) char *origin = http_origin_of(cases[i]);
        assert_string_equal(origin, cases[i + 1]);
    }
    assert_null(http_origin_of("cloud.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_origin_of_a_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
