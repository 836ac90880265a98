/* SPDX-License-Identifier: MIT */
/* Listeners that answer, that only accept, and that are not there. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/event/self-check.h"
#include "lib/event/daemon.h"
#include "lib/net/host-port.h"
#include "lib/net/listener.h"

static void test_judge(void **state)
{
    static const struct {
        ListenerKind kind;
        const char *data;
        int r;
    } cases[] = {
        { LISTENER_BANNER, "", -EAGAIN },
        { LISTENER_BANNER, "S", 1 },
        { LISTENER_HTTP, "", -EAGAIN },
        { LISTENER_HTTP, "HTTP/1.", -EAGAIN },
        { LISTENER_HTTP, "HTTP/1.1 20", -EAGAIN },
        { LISTENER_HTTP, "HTTP/1.1 200", 1 },
        { LISTENER_HTTP, "HTTP/1.0 404", 1 },
        { LISTENER_HTTP, "HTTP/1.1 500", 0 },
        { LISTENER_HTTP, "HTTP/2", 0 },
        { LISTENER_HTTP, "SSH-2.0-x", 0 },
        { LISTENER_HTTP, "HTTP/1.1x200", 0 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        if (listener_judge(cases[i].kind, cases[i].data, strlen(cases[i].data)) != cases[i].r)
            fail_msg("case %zu", i);
}

static void test_host_and_port(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } cases[] = {
        { "cloud.example:443", "cloud.example", 443 },
        { "192.0.2.1:0", "192.0.2.1", 0 },
        { "[::1]:65535", "::1", 65535 },
        { "::1:22", "::1", 22 },
        { "[]:1", NULL, 0 },
        { ":22", NULL, 0 },
        { "cloud.example", NULL, 0 },
        { "cloud.example:", NULL, 0 },
        { "cloud.example:65536", NULL, 0 },
        { "cloud.example:+1", NULL, 0 },
        { "", NULL, 0 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *host = NULL, *alone = host_port_host(cases[i].text);
        uint16_t port = 0;
        int r = host_port_split(cases[i].text, &host, &port);

        assert_int_equal(r, cases[i].host ? 0 : -EINVAL);
        if (!str_equal(host, cases[i].host) || !str_equal(alone, cases[i].host) || port != cases[i].port)
            fail_msg("case %zu", i);
    }
}

static void test_lists(void **state)
{
    static const char *const bad[] = { "tcp",
                                       "tcp:",
                                       "tcp:127.0.0.1",
                                       "tcp:127.0.0.1:0",
                                       "tcp:127.0.0.1:65536",
                                       "tcp:host:22",
                                       "udp:127.0.0.1:1",
                                       "tcp:127.0.0.1:22/path",
                                       "tcp::22",
                                       "banner:[]:22",
                                       "tcp:1.2.3.4:1 x" };
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    Listeners *l = NULL;

    (void) state;
    assert_int_equal(service_loop_new(&event, NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        Error err = {};
        if (listeners_new(event, bad[i], &l, &err) >= 0 || !str_equal(err.id, "listeners.bad"))
            fail_msg("%s: %s", bad[i], error_id(&err));
        error_done(&err);
    }
    assert_int_equal(listeners_new(event, "tcp:[::1]:22  http:127.0.0.1:80/a/b", &l, NULL), 0);
    assert_int_equal(listeners_count(l), 2);
    assert_string_equal(listeners_name(l, 1), "http:127.0.0.1:80/a/b");
    listeners_free(l);
    Error err = {};
    assert_int_equal(
        listeners_new(event, "tcp:1:1 tcp:1:1 tcp:1:1 tcp:1:1 tcp:1:1 tcp:1:1 tcp:1:1 tcp:1:1 tcp:1:1", &l, &err),
        -EINVAL);
    error_done(&err);
}

static int listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *) &address, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

typedef struct Speaker {
    const char *says;
    int connections[8];
    size_t n;
} Speaker;

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    Speaker *s = userdata;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    (void) source;
    (void) revents;
    assert_true(peer >= 0 && s->n < ELEMENTSOF(s->connections));
    s->connections[s->n++] = peer;
    if (s->says)
        assert_int_equal(send(peer, s->says, strlen(s->says), MSG_NOSIGNAL), (ssize_t) strlen(s->says));
    return 0;
}

static void on_settled(void *userdata)
{
    (void) sd_event_exit(userdata, 0);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void) source;
    (void) usec;
    listeners_expire(userdata);
    return 0;
}

/* Three sockets: one speaks HTTP, one accepts in the kernel and is never read, one is closed. */
static void test_real_listeners(void **state)
{
    sd_event *event = NULL;
    sd_event_source *timer = NULL;
    Listeners *l = NULL;
    Speaker speaker = { .says = "HTTP/1.1 204 No Content\r\n\r\n" };
    uint16_t speaking, mute, closed;
    int a = listen_somewhere(&speaking), b = listen_somewhere(&mute), c = listen_somewhere(&closed);

    (void) state;
    close(c);
    assert_int_equal(service_loop_new(&event, NULL), 0);
    assert_true(sd_event_add_io(event, NULL, a, EPOLLIN, on_connection, &speaker) >= 0);
    _cleanup_(freep) char *list =
        str_format("http:127.0.0.1:%u/ banner:127.0.0.1:%u tcp:127.0.0.1:%u banner:127.0.0.1:%u "
                   "http:127.0.0.1:%u/ tcp:127.0.0.1:%u",
                   speaking, speaking, mute, mute, mute, closed);
    static const bool wanted[] = { true, true, true, false, false, false };
    assert_int_equal(listeners_new(event, list, &l, NULL), 0);
    listeners_try(l, on_settled, event);
    assert_int_equal(timer_arm(event, &timer, 500 * USEC_PER_MSEC, on_time, l), 0);
    assert_int_equal(sd_event_loop(event), 0);
    for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
        if (listeners_good(l, i) != wanted[i])
            fail_msg("%s is %s", listeners_name(l, i), wanted[i] ? "not good" : "good");
    sd_event_source_disable_unref(timer);
    listeners_free(l);
    for (size_t i = 0; i < speaker.n; i++)
        close(speaker.connections[i]);
    close(a);
    close(b);
    sd_event_unref(event);
}

/* One that the kernel does not serve is asked again, not waited for, and only then counts as lost. */
static void test_alive_never_waits(void **state)
{
    Alive a = { .loopback_worked = true };

    (void) state;
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(bind(silent, (struct sockaddr *) &here, sizeof(here)), 0);
    assert_int_equal(listen(silent, 1), 0);
    /* nobody connects to this listener */
    a.loopback = (Loopback) { .step = LOOPBACK_ACCEPT, .listener = silent, .out = dup(silent), .in = -1 };
    assert_int_equal(loopback_go_on(&a.loopback), -EAGAIN);
    assert_int_equal(a.loopback.step, LOOPBACK_ACCEPT);
    assert_int_equal(alive_still(&a), 0);
    loopback_done(&a.loopback);
    assert_int_equal(alive_still(&a), 1);
    loopback_done(&a.loopback);
}

static void test_alive(void **state)
{
    (void) state;
    Loopback l = {};
    /* the kernel usually does it at once, and need not */
    for (int r = -EAGAIN; r != 0;) {
        r = loopback_go_on(&l);
        assert_true(r == 0 || r == -EAGAIN);
    }
    assert_int_equal(l.step, LOOPBACK_IDLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge), cmocka_unit_test(test_host_and_port),
        cmocka_unit_test(test_lists), cmocka_unit_test(test_real_listeners),
        cmocka_unit_test(test_alive), cmocka_unit_test(test_alive_never_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
