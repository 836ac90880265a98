/* SPDX-License-Identifier: MIT */
/* What is said to an HTTP proxy, and what is made of its answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/net/stream-impl.h"

DEFINE_CLEANUP(ProxyCall, proxy_call_free)

typedef struct Pair {
    int ours, proxys;
} Pair;

static Pair pair_new(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    return (Pair) { fds[0], fds[1] };
}

static void pair_done(Pair *p)
{
    close(p->ours);
    if (p->proxys >= 0)
        close(p->proxys);
}

static void answer(const Pair *p, const char *text)
{
    assert_int_equal(write(p->proxys, text, strlen(text)), (ssize_t) strlen(text));
}

static void assert_asked(const Pair *p, const char *expected)
{
    char text[512] = "";

    assert_int_equal(read(p->proxys, text, sizeof text - 1), (ssize_t) strlen(expected));
    assert_string_equal(text, expected);
}

/* "ok", "wait", or the error's id. */
static void assert_round(ProxyCall *t, const Pair *p, const char *expected)
{
    Error err = {};
    bool wants_write = true;
    int r = proxy_call_round(t, p->ours, &wants_write, &err);

    assert_string_equal(r == 0 ? "ok" : r == -EAGAIN ? "wait" : error_id(&err), expected);
    assert_false(wants_write);
    error_done(&err);
}

static void test_it_connects(void **state)
{
    _cleanup_(proxy_call_freep) ProxyCall *t = proxy_call_new("cloud:443", "proxy", NULL);
    _cleanup_(pair_done) Pair p = pair_new(), again = pair_new();
    char next[8] = "";

    (void) state;
    assert_round(t, &p, "wait");
    assert_asked(&p, "CONNECT cloud:443 HTTP/1.1\r\nHost: cloud:443\r\n\r\n");
    answer(&p, "HTTP/1.1 200 Connection estab");
    assert_round(t, &p, "wait");
    answer(&p, "lished\r\nVia: x\r\n\r\nTLS");
    assert_round(t, &p, "ok");
    assert_int_equal(read(p.ours, next, sizeof next - 1), 3); /* what is behind it is the target's */
    assert_string_equal(next, "TLS");
    /* the next address of the proxy */
    proxy_call_restart(t);
    assert_round(t, &again, "wait");
    assert_asked(&again, "CONNECT cloud:443 HTTP/1.1\r\nHost: cloud:443\r\n\r\n");
    answer(&again, "HTTP/1.0 204 x\n\n");
    assert_round(t, &again, "ok");
}

static void test_a_login(void **state)
{
    _cleanup_(proxy_call_freep) ProxyCall *t = proxy_call_new("[2001:db8::1]:443", "proxy", "ana:p@ss");
    _cleanup_(pair_done) Pair p = pair_new();

    (void) state;
    assert_round(t, &p, "wait");
    assert_asked(&p, "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
                     "Proxy-Authorization: Basic YW5hOnBAc3M=\r\n\r\n");
}

static void test_it_does_not(void **state)
{
    static const struct {
        const char *answer, *is;
    } cases[] = {
        { "HTTP/1.1 407 Login\r\n\r\n", "stream.proxy" },
        { "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!", "stream.proxy" },
        { "HTTP/1.1 302 Found\r\n\r\n", "stream.proxy" },
        { "HTTP/1.1 100 Continue\r\n\r\n", "stream.proxy" },
        { "SSH-2.0-OpenSSH\r\n\r\n", "stream.proxy" },
        { "HTTP/1.1\r\n\r\n", "stream.proxy" },
        { "HTTP/1.1 two\r\n\r\n", "stream.proxy" },
        { "\r\n\r\n", "stream.proxy" },
        { "HTTP/1.1 200 Conn", "stream.closed" }, /* and ends it */
        { "", "stream.closed" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(proxy_call_freep) ProxyCall *t = proxy_call_new("cloud:443", "proxy", NULL);
        _cleanup_(pair_done) Pair p = pair_new();

        assert_round(t, &p, "wait");
        answer(&p, cases[i].answer);
        assert_int_equal(shutdown(p.proxys, SHUT_WR), 0);
        assert_round(t, &p, cases[i].is);
    }
}

static void test_an_answer_without_an_end(void **state)
{
    _cleanup_(proxy_call_freep) ProxyCall *t = proxy_call_new("cloud:443", "proxy", NULL);
    _cleanup_(pair_done) Pair p = pair_new();
    char much[9000];

    (void) state;
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    answer(&p, much);
    assert_round(t, &p, "stream.proxy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_connects),
        cmocka_unit_test(test_a_login),
        cmocka_unit_test(test_it_does_not),
        cmocka_unit_test(test_an_answer_without_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
