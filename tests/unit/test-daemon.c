/* SPDX-License-Identifier: MIT */
/* Loop, signals, notification and watchdog against a datagram socket of our own in the manager's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/strv.h"
#include "lib/event/daemon.h"

static int manager_open(void)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    socklen_t len = sizeof(sa_family_t);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &sa, len), 0); /* an abstract name chosen by the kernel */
    len = sizeof(sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &sa, &len), 0);
    _cleanup_(freep) char *name = str_format("@%.*s", (int) (len - sizeof(sa_family_t) - 1), sa.sun_path + 1);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static const char *manager_read(int fd, char *buf, size_t size, int flags)
{
    ssize_t n = recv(fd, buf, size - 1, flags);

    if (n < 0)
        return NULL;
    buf[n] = '\0';
    return buf;
}

static void test_notify(void **state)
{
    _cleanup_(closep) int fd = manager_open();
    char text[256];

    (void) state;
    service_ready("connected");
    assert_string_equal(manager_read(fd, text, sizeof(text), 0), "READY=1\nSTATUS=connected");
    service_status("waiting for the gateway");
    assert_string_equal(manager_read(fd, text, sizeof(text), 0), "STATUS=waiting for the gateway");
    unsetenv("NOTIFY_SOCKET");
    service_status("nobody listens");
    assert_null(manager_read(fd, text, sizeof(text), MSG_DONTWAIT));
}

static int raise_term(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void) s;
    (void) usec;
    (void) userdata;
    return raise(SIGPIPE) == 0 && raise(SIGTERM) == 0 ? 0 : -errno;
}

static void test_term_ends_the_loop(void **state)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    sd_event_source *s = NULL;
    Error err = {};

    (void) state;
    assert_int_equal(service_loop_new(&event, &err), 0);
    assert_int_equal(timer_arm(event, &s, 0, raise_term, NULL), 0);
    assert_int_equal(sd_event_loop(event), 0);
    sd_event_source_disable_unref(s);
}

typedef struct Ticks {
    int n;
    sd_event_source *timer;
} Ticks;

static int tick(sd_event_source *s, uint64_t usec, void *userdata)
{
    Ticks *t = userdata;

    (void) usec;
    if (++t->n == 3)
        return sd_event_exit(sd_event_source_get_event(s), t->n);
    return timer_arm(sd_event_source_get_event(s), &t->timer, USEC_PER_MSEC, tick, t);
}

static int never(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void) s;
    (void) usec;
    (void) userdata;
    fail_msg("a disarmed or replaced timer fired");
    return 0;
}

static void test_timers(void **state)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    sd_event_source *off = NULL, *far = NULL;
    Ticks t = {};

    (void) state;
    assert_true(sd_event_new(&event) >= 0);
    timer_disarm(NULL);
    assert_int_equal(timer_arm(event, &off, 0, never, NULL), 0);
    timer_disarm(off);
    assert_int_equal(timer_arm(event, &far, USEC_INFINITY, never, NULL), 0);
    assert_int_equal(timer_arm(event, &t.timer, 0, never, NULL), 0);
    assert_int_equal(timer_arm(event, &t.timer, 0, tick, &t), 0); /* replaces the one before */
    assert_int_equal(sd_event_loop(event), 3);
    sd_event_source_disable_unref(off);
    sd_event_source_disable_unref(far);
    sd_event_source_disable_unref(t.timer);
}

static int healthy_until_3(void *userdata)
{
    int *n = userdata;

    return ++*n <= 3;
}

static void test_watchdog(void **state)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(closep) int fd = manager_open();
    Error err = {};
    char text[64];
    int asked = 0, petted = 0;

    (void) state;
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "20000", 1), 0);
    assert_int_equal(service_watchdog_start(event, healthy_until_3, &asked, &err), 0);
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
    while (asked < 6)
        assert_true(sd_event_run(event, 100 * USEC_PER_MSEC) >= 0);
    while (manager_read(fd, text, sizeof(text), MSG_DONTWAIT)) {
        assert_string_equal(text, "WATCHDOG=1");
        petted++;
    }
    assert_int_equal(petted, 3);
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(service_watchdog_start(event, NULL, NULL, &err), 0); /* not asked for: nothing happens */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_term_ends_the_loop),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_watchdog),
    };

    return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
