/* SPDX-License-Identifier: MIT */
/* Which proxy the environment names for a host. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/net/proxy-env.h"

static void clear(void)
{
    static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY",
                                         "all_proxy",   "ALL_PROXY",   "no_proxy",   "NO_PROXY" };

    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        assert_int_equal(unsetenv(names[i]), 0);
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

/* "HOST:PORT", with "LOGIN@" in front where there is one; "direct"; or the error's id. */
static void assert_way(const char *host, bool tls, const char *expected)
{
    ProxyEnv p = {};
    Error err = {};
    _cleanup_(freep) char *way = NULL;

    if (proxy_env_find(host, tls, &p, &err) < 0)
        way = strdup(error_id(&err));
    else if (!p.host)
        way = strdup("direct");
    else
        way = str_format("%s%s%s:%u", p.login ? p.login : "", p.login ? "@" : "", p.host, p.port);
    assert_string_equal(way, expected);
    proxy_env_done(&p);
    error_done(&err);
}

static void test_which_variable_counts(void **state)
{
    (void) state;
    clear();
    assert_way("cloud", true, "direct");
    set("ALL_PROXY", "all:1");
    assert_way("cloud", true, "all:1");
    assert_way("cloud", false, "all:1");
    set("HTTPS_PROXY", "http://big:2/");
    assert_way("cloud", true, "big:2");
    assert_way("cloud", false, "all:1");
    set("https_proxy", "HTTP://small:3");
    assert_way("cloud", true, "small:3");
    set("https_proxy", "");
    assert_way("cloud", true, "big:2");
    set("HTTP_PROXY", "http://of-a-header:4"); /* not ours to believe */
    assert_way("cloud", false, "all:1");
    set("http_proxy", "http://plain:5");
    assert_way("cloud", false, "plain:5");
    clear();
}

static void test_forms(void **state)
{
    static const struct {
        const char *value, *way;
    } cases[] = {
        { "proxy", "proxy:1080" },
        { "http://proxy", "proxy:1080" },
        { "http://[2001:db8::1]:8080", "2001:db8::1:8080" },
        { "http://[2001:db8::1]", "2001:db8::1:1080" },
        { "http://ana:secret@proxy:8080/", "ana:secret@proxy:8080" },
        { "http://an%61:p%40ss%3a@proxy:8080", "ana:p@ss:@proxy:8080" },
        { "ana:a@b@proxy:8080", "ana:a@b@proxy:8080" },
        { "http://100%:x@proxy:1", "100%:x@proxy:1" },
        { "http://ana@proxy:1", "ana:@proxy:1" },
        { "http://an%3aa@proxy:1", "an:a:@proxy:1" },
        { "http://@proxy:1", ":@proxy:1" },
        { "https://proxy:443", "proxy.bad-url" },
        { "socks5://proxy:1080", "proxy.bad-url" },
        { "http://", "proxy.bad-url" },
        { "http://:8080", "proxy.bad-url" },
        { "http://proxy:0", "proxy.bad-url" },
        { "http://proxy:x", "proxy.bad-url" },
        { "http://a:b:c", "proxy.bad-url" },
    };

    (void) state;
    clear();
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        set("https_proxy", cases[i].value);
        assert_way("cloud", true, cases[i].way);
    }
    clear();
}

static void test_exceptions(void **state)
{
    static const struct {
        const char *list, *host;
        bool excepted;
    } cases[] = {
        { "*", "cloud", true },
        { "example.com", "example.com", true },
        { ".example.com", "example.com", true },
        { "example.com", "a.EXAMPLE.com", true },
        { "example.com", "notexample.com", false },
        { "other, example.com", "example.com", true },
        { "other example.com", "example.com", true },
        { "192.0.2.7", "192.0.2.7", true },
        { "192.0.2.0/24", "192.0.2.7", true },
        { "192.0.2.0/25", "192.0.2.129", false },
        { "192.0.2.0/33", "192.0.2.0", false },
        { "0.0.0.0/0", "192.0.2.0", true },
        { "2001:db8::/32", "2001:db8:1::1", true },
        { "2001:db8::/32", "2001:db9::1", false },
        { "2001:db8::/32", "192.0.2.7", false },
        { ",", "cloud", false },
        { ".", "cloud", false },
    };

    (void) state;
    clear();
    set("https_proxy", "http://proxy:1");
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        set("no_proxy", cases[i].list);
        assert_way(cases[i].host, true, cases[i].excepted ? "direct" : "proxy:1");
    }
    assert_int_equal(unsetenv("no_proxy"), 0);
    set("NO_PROXY", "cloud");
    assert_way("cloud", true, "direct");
    clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_variable_counts),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_exceptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
