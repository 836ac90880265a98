/* SPDX-License-Identifier: MIT */
/* PROXY headers whole and in pieces, X-Forwarded-For, and whom they are believed from. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/http/proxy-header.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

/* Fed as a socket would: never more than was asked for. Returns 0 and the peer, or the error. */
static int feed(const char *data, size_t len, size_t step, char **ret_peer, size_t *ret_used)
{
    uint8_t got[PROXY_HEADER_MAX];
    size_t n = 0;
    int wanted;
    while ((wanted = proxy_header_read(got, n, ret_peer, NULL)) > 0) {
        size_t take = (size_t) wanted < step ? (size_t) wanted : step;
        if (n + take > len || n + take > sizeof got)
            return -ENODATA;
        memcpy(got + n, data + n, take);
        n += take;
    }
    *ret_used = n;
    return wanted;
}

typedef struct Case {
    const char *data;
    size_t len;
    const char *peer; /* NULL: the proxy itself */
    int result;
} Case;

#define CASE(text, peer, result)                                                                                       \
    {                                                                                                                  \
        text, sizeof(text) - 1, peer, result                                                                           \
    }

static const Case cases[] = {
    CASE("PROXY TCP4 192.0.2.1 198.51.100.9 51000 443\r\n", "192.0.2.1:51000", 0),
    CASE("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1", 0),
    CASE("PROXY UNKNOWN\r\n", NULL, 0),
    CASE("PROXY UNKNOWN ffff::1 what ever\r\n", NULL, 0),
    CASE("PROXY TCP4 192.0.2.1 198.51.100.9 51000\r\n", NULL, -EBADMSG),
    CASE("PROXY TCP4 192.0.2.1 198.51.100.9 51000 443 1\r\n", NULL, -EBADMSG),
    CASE("PROXY TCP4 192.0.2.1 198.51.100.9 51000 65536\r\n", NULL, -EBADMSG),
    CASE("PROXY TCP4 2001:db8::1 198.51.100.9 51000 443\r\n", NULL, -EBADMSG),
    CASE("PROXY TCP4  192.0.2.1 198.51.100.9 51000 443\r\n", NULL, -EBADMSG),
    CASE("PROXY UDP4 192.0.2.1 198.51.100.9 51000 443\r\n", NULL, -EBADMSG),
    CASE("PROXY TCP4 192.0.2.1 198.51.100.9 51000 443\n\n", NULL, -EBADMSG),
    CASE("PROXY TCP4 192.0.2.1\r198.51.100.9 51000 443\r\n", NULL, -EBADMSG),
    CASE("PROXY TCP4 192.0.2.1\0 198.51.100.9 51000 443\r\n", NULL, -EBADMSG),
    CASE("PROXY TCP4 "
         "11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111\r\n",
         NULL, -EBADMSG),
    CASE("GET / HTTP/1.1\r\nHost: x\r\n\r\n", NULL, -EBADMSG),
    CASE("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03TLS says hello", NULL, -EBADMSG),
    CASE(V2 "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x09\xc7\x38\x01\xbb", "192.0.2.1:51000", 0),
    CASE(V2 "\x21\x11\0\x0f\xc0\0\x02\x01\xc6\x33\x64\x09\xc7\x38\x01\xbb\x04\0\0", "192.0.2.1:51000", 0),
    CASE(V2 "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\0\x01"
            "\xff\xff",
         "[2001:db8::1]:1", 0),
    CASE(V2 "\x20\0\0\0", NULL, 0),
    CASE(V2 "\x20\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x09\xc7\x38\x01\xbb", NULL, 0),
    CASE(V2 "\x21\x31\0\x02xx", NULL, 0),
    CASE(V2 "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x09\xc7\x38\x01", NULL, -EBADMSG),
    CASE(V2 "\x22\x11\0\x0c", NULL, -EBADMSG),
    CASE(V2 "\x11\x11\0\x0c", NULL, -EBADMSG),
    CASE(V2 "\x21\x11\xff\xff", NULL, -EBADMSG),
};

static void test_headers(void **state)
{
    static const size_t steps[] = { 1, 2, 7, 4096 };
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases) * ELEMENTSOF(steps); i++) {
        const Case *c = &cases[i / ELEMENTSOF(steps)];
        _cleanup_(freep) char *peer = NULL;
        size_t used = 0;
        int r = feed(c->data, c->len, steps[i % ELEMENTSOF(steps)], &peer, &used);
        if (r != c->result || !str_equal(peer, c->peer) || (r == 0 && used != c->len))
            fail_msg("case %zu: %d, %s, %zu of %zu bytes", i / ELEMENTSOF(steps), r, peer ? peer : "no peer", used,
                     c->len);
    }
}

static void test_what_follows_is_left_alone(void **state)
{
    static const char text[] = "PROXY TCP4 192.0.2.1 198.51.100.9 1 2\r\n\x16\x03\x01 and TLS begins";
    _cleanup_(freep) char *peer = NULL;
    size_t used = 0;
    (void) state;
    assert_int_equal(feed(text, sizeof text - 1, 4096, &peer, &used), 0);
    assert_int_equal(used, strlen("PROXY TCP4 192.0.2.1 198.51.100.9 1 2\r\n"));
}

static void test_lists(void **state)
{
    static const struct {
        const char *list, *address;
        bool has;
    } tries[] = {
        { "127.0.0.1,::1", "127.0.0.1:80", true },
        { "127.0.0.1, ::1", "[::1]:80", true },
        { "127.0.0.1", "127.0.0.2", false },
        { "10.0.0.0/8", "10.255.1.2:1", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "10.0.0.0/9", "10.128.0.0", false },
        { "0.0.0.0/0", "203.0.113.1", true },
        { "0.0.0.0/0", "2001:db8::1", false },
        { "2001:db8::/33", "2001:db8:7fff::", true },
        { "2001:db8::/33", "2001:db8:8000::", false },
        { "", "127.0.0.1", false },
        { NULL, "127.0.0.1", false },
        { "127.0.0.1", "unix:", false },
        { "127.0.0.1", "", false },
        { "127.0.0.1", "::ffff:127.0.0.1", true },
    };
    static const char *const bad[] = {
        "localhost", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0.0/-1", "1.2.3", "/8"
    };
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
    _cleanup_(proxy_list_freep) ProxyList *own = NULL;
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(tries); i++) {
        _cleanup_(proxy_list_freep) ProxyList *l = NULL;
        assert_int_equal(proxy_list_new(tries[i].list, &l, NULL), 0);
        if (proxy_list_has_text(l, tries[i].address) != tries[i].has)
            fail_msg("%s and %s", tries[i].list, tries[i].address);
    }
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(proxy_list_freep) ProxyList *l = NULL;
        _cleanup_(error_done) Error err = {};
        assert_int_equal(proxy_list_new(bad[i], &l, &err), -EINVAL);
        assert_string_equal(error_id(&err), "config.proxies");
    }
    assert_int_equal(proxy_list_new("127.0.0.0/8", &own, NULL), 0);
    assert_true(proxy_list_has(own, (struct sockaddr *) &a));
    assert_false(proxy_list_has(NULL, (struct sockaddr *) &a));
}

static void test_forwarded(void **state)
{
    static const struct {
        const char *header, *peer;
    } tries[] = {
        { "203.0.113.5", "203.0.113.5" },
        { "6.6.6.6, 203.0.113.5", "203.0.113.5" }, /* the caller made the first one up */
        { "6.6.6.6, 203.0.113.5, 10.1.1.1 , 127.0.0.1", "203.0.113.5" },
        { "203.0.113.5:4711", "203.0.113.5" },
        { "[2001:db8::7]:1", "2001:db8::7" },
        { "2001:db8::7", "2001:db8::7" },
        { "10.1.1.1", NULL },
        { "203.0.113.5, unknown", NULL },
        { "203.0.113.5,", NULL },
        { "203.0.113.5, 10.1.1.1, <script>", NULL },
        { "[", NULL },
        { "", NULL },
        { NULL, NULL },
    };
    _cleanup_(proxy_list_freep) ProxyList *l = NULL;
    (void) state;
    assert_int_equal(proxy_list_new("127.0.0.1,10.0.0.0/8", &l, NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(tries); i++) {
        _cleanup_(freep) char *peer = proxy_forwarded_peer(l, tries[i].header);
        if (!str_equal(peer, tries[i].peer))
            fail_msg("%s: %s", tries[i].header, peer ? peer : "nobody");
    }
}

static void test_callers(void **state)
{
    static const struct {
        const char *one, *other;
        bool same;
    } tries[] = {
        { "192.0.2.1:443", "192.0.2.1:5", true },
        { "192.0.2.1:443", "192.0.2.1", true },
        { "192.0.2.1:443", "::ffff:192.0.2.1", true },
        { "192.0.2.1:443", "192.0.2.2:443", false },
        { "[2001:db8::7]:1", "2001:db8::ffff:1:2", true }, /* a household has that many */
        { "2001:db8::7", "2001:db8:0:1::7", false },
        { "nobody", "", true },
        { "nobody", "192.0.2.1", false },
    };
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(tries); i++) {
        uint8_t one[16], other[16];
        caller_network(tries[i].one, one);
        caller_network(tries[i].other, other);
        if ((memcmp(one, other, sizeof one) == 0) != tries[i].same)
            fail_msg("%s and %s", tries[i].one, tries[i].other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers), cmocka_unit_test(test_what_follows_is_left_alone),
        cmocka_unit_test(test_lists),   cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_callers),
    };
    return cmocka_run_group_tests_name("proxy-header", tests, NULL, NULL);
}
