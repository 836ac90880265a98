/* SPDX-License-Identifier: MIT */
/* Which addresses count as the public Internet. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/net/public-address.h"

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage a = {};
    struct sockaddr_in *in = (struct sockaddr_in *) &a;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) &a;

    a.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    assert_int_equal(
        inet_pton(a.ss_family, text, a.ss_family == AF_INET ? (void *) &in->sin_addr : (void *) &in6->sin6_addr), 1);
    return a;
}

static bool is_public(const char *text)
{
    struct sockaddr_storage a = address(text);

    return address_is_public((struct sockaddr *) &a);
}

static bool is_loopback(const char *text)
{
    struct sockaddr_storage a = address(text);

    return address_is_loopback((struct sockaddr *) &a);
}

static void test_public(void **state)
{
    static const char *const public[] = { "1.1.1.1",         "9.255.255.255",        "11.0.0.0",
                                          "100.63.255.255",  "100.128.0.0",          "172.15.0.1",
                                          "172.32.0.1",      "192.169.0.1",          "223.255.255.255",
                                          "2606:4700::1",    "2001:4860:4860::8888", "::ffff:8.8.8.8",
                                          "64:ff9b::808:808" };
    static const char *const special[] = { "0.0.0.0",
                                           "10.0.0.1",
                                           "100.64.0.1",
                                           "100.127.255.255",
                                           "127.0.0.1",
                                           "127.255.255.255",
                                           "169.254.1.1",
                                           "172.16.0.1",
                                           "172.31.255.255",
                                           "192.0.0.8",
                                           "192.0.2.1",
                                           "192.88.99.1",
                                           "192.168.0.1",
                                           "198.18.0.1",
                                           "198.19.255.255",
                                           "198.51.100.1",
                                           "203.0.113.9",
                                           "224.0.0.1",
                                           "240.0.0.1",
                                           "255.255.255.255",
                                           "::",
                                           "::1",
                                           "fe80::1",
                                           "fd00::1",
                                           "fc00::1",
                                           "ff02::1",
                                           "2001:db8::1",
                                           "2001::1",
                                           "2002:a00:1::1",
                                           "3fff::1",
                                           "::10.0.0.1",
                                           "::ffff:10.0.0.1",
                                           "::ffff:127.0.0.1",
                                           "64:ff9b::a00:1",
                                           "64:ff9b:1::1",
                                           "100::1" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(public); i++)
        assert_true(is_public(public[i]));
    for (size_t i = 0; i < ELEMENTSOF(special); i++)
        assert_false(is_public(special[i]));
}

static void test_loopback(void **state)
{
    (void) state;
    assert_true(is_loopback("127.0.0.1") && is_loopback("127.9.9.9") && is_loopback("::1"));
    assert_true(is_loopback("::ffff:127.0.0.1"));
    assert_false(is_loopback("128.0.0.1") || is_loopback("::2") || is_loopback("::ffff:10.0.0.1"));
}

static void test_what_is_no_ip_address(void **state)
{
    struct sockaddr a = { .sa_family = AF_UNIX };

    (void) state;
    assert_false(address_is_public(&a) || address_is_loopback(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_what_is_no_ip_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
