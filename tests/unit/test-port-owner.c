/* SPDX-License-Identifier: MIT */
/* Which unit of the system a process belongs to: what is printed is stopped by root. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/base/strv.h"
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

static pid_t start_sleeper(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        execlp("sleep", "a) name (of", "1000", NULL);
        _exit(127);
    }
    return pid;
}

static int type_it(const char *command)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The command of a process, as if another one had its number when it is typed. */
static char *aimed_at(const char *command, pid_t other)
{
    const char *first = strstr(command, "/proc/"), *rest = first ? strstr(first, "/stat") : NULL,
               *last = rest ? strstr(rest, "kill ") : NULL;

    assert_non_null(last);
    return str_format("%.*s/proc/%d%.*skill %d", (int) (first - command), command, (int) other, (int) (last - rest),
                      rest, (int) other);
}

static void test_only_that_process_is_ended(void **state)
{
    pid_t one = start_sleeper(), other = one;
    int status;

    (void) state;
    do { /* a later one, that another tick has seen start */
        if (other != one) {
            assert_int_equal(kill(other, SIGKILL), 0);
            assert_int_equal(waitpid(other, NULL, 0), other);
        }
        other = start_sleeper();
    } while (process_start_ticks(other) == process_start_ticks(one));
    _cleanup_(freep) char *number = str_format("%d", (int) one), *command = process_kill_command(number);
    assert_non_null(command);
    _cleanup_(freep) char *reused = aimed_at(command, other);
    assert_int_not_equal(type_it(reused), 0);
    assert_int_equal(kill(other, 0), 0);
    assert_int_equal(type_it(command), 0);
    assert_int_equal(waitpid(one, &status, 0), one);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_not_equal(type_it(command), 0);
    assert_null(process_kill_command(number));
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_true(WTERMSIG(status) == SIGKILL);
}

static void test_nobody_is_told_to_end_process_1(void **state)
{
    static const char *const no[] = { "1", "0", "-1", "", "2147483647", "12; id" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(no); i++) {
        assert_null(process_kill_command(no[i]));
        assert_null(port_owner_end_command(no[i]));
    }
}

static void test_since_when_a_process_runs(void **state)
{
    usec_t now = realtime_usec(), started = process_started(getpid());
    pid_t child = start_sleeper();
    usec_t later = process_started(child);

    (void) state;
    assert_true(started > 0 && started <= now + USEC_PER_SEC);
    assert_true(later + USEC_PER_SEC >= started && process_started(1) <= started + USEC_PER_SEC);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(process_started(child), 0);
}

static const char tables_tcp[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0\n"
    "   1: 00000000:1F91 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0 100 0 0 10 0\n";
static const char tables_tcp6[] =
    "  sl  local_address                         remote_address                        st tx_queue rx_queue\n"
    "   0: 00000000000000000000000000000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 "
    "00:00000000 "
    "00000000  1000        0 103 1 0 100 0 0 10 0\n";
static const char tables_udp[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer "
    "drops\n"
    "  10: 00000000:1F93 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 104 2 0 0\n";

static const struct {
    const char *port;
    bool served;
} served_cases[] = {
    { "127.0.0.1:8080/tcp", true },
    { ":8080/tcp", true },
    { "0.0.0.0:8080/tcp", true },
    { "192.0.2.1:8080/tcp", false },
    { ":8081/tcp", false }, /* a connection, and nobody who listens */
    { ":8082/tcp", true },
    { "192.0.2.1:8082/tcp", true },
    { "[2001:db8::1]:8082/tcp", true },
    { "[2001:db8::1]:8080/tcp", false },
    { ":8083/udp", true },
    { ":8083/tcp", false },
    { ":8082/udp", false },
    /* what cannot be told is no fault */
    { ":8084/sctp", true },
    { "name.example:8081/tcp", true },
    { ":/tcp", true },
    { "[:8081/tcp", true },
    { "]:8081/tcp", true },
    { ":70000/tcp", true },
    { "/tcp", true },
    { "", true },
};

static void write_table(const char *folder, const char *name, const char *text)
{
    _cleanup_(freep) char *path = str_format("%s/%s", folder, name);
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static bool is_served(const char *folder, const char *port)
{
    _cleanup_(port_tables_freep) PortTables *tables = port_tables_read(folder);

    assert_non_null(tables);
    return port_tables_serve(tables, port);
}

static void test_published_ports(void **state)
{
    static const char *const names[] = { "tcp", "tcp6", "udp" };
    char folder[] = "/tmp/secbox-ports-XXXXXX";

    (void) state;
    assert_non_null(mkdtemp(folder));
    assert_true(is_served(folder, ":8081/tcp")); /* there are no tables */
    write_table(folder, "tcp", tables_tcp);
    write_table(folder, "tcp6", tables_tcp6);
    write_table(folder, "udp", tables_udp);
    _cleanup_(port_tables_freep) PortTables *tables = port_tables_read(folder);
    assert_non_null(tables);
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(freep) char *path = str_format("%s/%s", folder, names[i]);

        assert_int_equal(unlink(path), 0);
    }
    /* one reading is enough for all of them */
    for (size_t i = 0; i < ELEMENTSOF(served_cases); i++)
        if (port_tables_serve(tables, served_cases[i].port) != served_cases[i].served)
            fail_msg("%s", served_cases[i].port);
    assert_true(port_tables_serve(NULL, ":8081/tcp"));
    assert_int_equal(rmdir(folder), 0);
}

/* Where one of the tables cannot be read nobody knows who listens; where there is none of IPv6 that is known. */
static void test_tables_that_cannot_be_read(void **state)
{
    char folder[] = "/tmp/secbox-ports-XXXXXX";
    _cleanup_(freep) char *tcp = NULL, *tcp6 = NULL;

    (void) state;
    assert_non_null(mkdtemp(folder));
    tcp = str_format("%s/tcp", folder);
    tcp6 = str_format("%s/tcp6", folder);
    write_table(folder, "tcp", tables_tcp);
    assert_false(is_served(folder, ":8082/tcp"));
    assert_int_equal(symlink("tcp6", tcp6), 0); /* it cannot be opened */
    assert_true(is_served(folder, ":8082/tcp"));
    assert_int_equal(unlink(tcp6), 0);
    assert_int_equal(mkdir(tcp6, 0700), 0); /* it can, and not be read */
    assert_true(is_served(folder, ":8082/tcp"));
    assert_int_equal(rmdir(tcp6), 0);
    assert_int_equal(unlink(tcp), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* More than the room that there is at first. */
static void test_many_sockets(void **state)
{
    char folder[] = "/tmp/secbox-ports-XXXXXX";
    _cleanup_(freep) char *path = NULL;

    (void) state;
    assert_non_null(mkdtemp(folder));
    path = str_format("%s/tcp", folder);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(fprintf(f, "%4u: 00000000:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 %u 1\n",
                            i, 20000 + i, i + 1) > 0);
    assert_int_equal(fclose(f), 0);
    assert_true(is_served(folder, ":20000/tcp") && is_served(folder, ":20999/tcp"));
    assert_false(is_served(folder, ":21000/tcp"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit),
        cmocka_unit_test(test_only_that_process_is_ended),
        cmocka_unit_test(test_nobody_is_told_to_end_process_1),
        cmocka_unit_test(test_since_when_a_process_runs),
        cmocka_unit_test(test_published_ports),
        cmocka_unit_test(test_tables_that_cannot_be_read),
        cmocka_unit_test(test_many_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
