/* SPDX-License-Identifier: MIT */
/* Real children: output, endings, deadlines, what they inherit and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/event/process.h"
#include "tests/unit/emulated.h"

#define SH(script) ((const char *const[]) { "/bin/sh", "-c", (script), NULL })
#define LONG (600 * USEC_PER_SEC)

static ProcessResult run_ok(const ProcessSpec *spec)
{
    ProcessResult result = {};
    Error err = {};
    int r = process_run(spec, NULL, NULL, &result, &err);

    if (r < 0)
        fail_msg("process_run: %s", error_message(&err, r));
    error_done(&err);
    return result;
}

static ProcessResult run_script(const char *script)
{
    return run_ok(&(ProcessSpec) { .argv = SH(script), .timeout_usec = LONG });
}

typedef struct Seen {
    sd_event *event;
    char **lines;
    int done, status;
    bool timed_out, free_in_line;
    size_t lines_at_done;
    Process *p;
} Seen;

static void seen_line(Process *p, ProcessStream stream, const char *line, void *userdata)
{
    Seen *seen = userdata;

    assert_int_equal(strv_addf(&seen->lines, "%c%s", stream == PROCESS_STDOUT ? 'o' : 'e', line), 0);
    assert_int_equal(seen->done, 0);
    if (seen->free_in_line) {
        process_free(p);
        assert_true(sd_event_exit(seen->event, 7) >= 0);
    }
}

static void seen_done(Process *p, int status, bool timed_out, void *userdata)
{
    Seen *seen = userdata;

    assert_ptr_equal(p, seen->p);
    seen->done++;
    seen->status = status;
    seen->timed_out = timed_out;
    seen->lines_at_done = strv_length(seen->lines);
    seen->p = process_free(p);
    assert_true(sd_event_exit(seen->event, 0) >= 0);
}

static void seen_end(Seen *seen)
{
    strv_free(seen->lines);
    sd_event_unref(seen->event);
}

static Seen *seen_start(Seen *seen, const ProcessSpec *spec)
{
    Error err = {};

    assert_true(sd_event_new(&seen->event) >= 0);
    assert_int_equal(process_spawn(seen->event, spec, seen_line, seen_done, seen, &seen->p, &err), 0);
    assert_int_equal(seen->done, 0);
    return seen;
}

static void test_output_order(void **state)
{
    Seen seen = {};

    (void) state;
    seen_start(&seen, &(ProcessSpec) { .argv = SH("echo a; echo b; printf '\\n'; printf 'x\\000y\\n'; printf last"),
                                       .timeout_usec = LONG });
    assert_int_equal(sd_event_loop(seen.event), 0);
    assert_int_equal(seen.done, 1);
    _cleanup_(freep) char *all = strv_join(seen.lines, "|");
    assert_string_equal(all, "oa|ob|o|ox?y|olast");
    assert_int_equal(seen.lines_at_done, 5);
    seen_end(&seen);
}

static void test_streams_apart(void **state)
{
    ProcessResult r = run_script("echo out; echo err >&2; echo more; echo own >/dev/stderr");

    (void) state;
    assert_string_equal(r.out, "out\nmore\n");
    assert_string_equal(r.err, "err\nown\n");
    process_result_done(&r);
}

static void test_one_output_in_the_order_of_the_writing(void **state)
{
    ProcessResult r = run_ok(&(ProcessSpec) {
        .argv = SH("for i in 1 2 3; do echo o$i; echo e$i >&2; done"), .timeout_usec = LONG, .one_output = true });

    (void) state;
    assert_string_equal(r.out, "o1\ne1\no2\ne2\no3\ne3\n");
    assert_string_equal(r.err ? r.err : "", "");
    process_result_done(&r);
}

static int on_enough(sd_event_source *source, uint64_t usec, void *userdata)
{
    Seen *seen = userdata;

    (void) source;
    (void) usec;
    assert_int_equal(strv_length(seen->lines), 0);
    process_hold(seen->p, false);
    return 0;
}

/* More than a pipe holds: the child waits, and nothing is lost. */
static void test_held_output_waits(void **state)
{
    sd_event_source *timer = NULL;
    Seen seen = {};

    (void) state;
    seen_start(&seen, &(ProcessSpec) { .argv = SH("i=0; while [ $i -lt 20000 ]; do echo 123456789; i=$((i+1)); done"),
                                       .timeout_usec = LONG });
    process_hold(seen.p, true);
    assert_true(timer_arm(seen.event, &timer, 100 * USEC_PER_MSEC, on_enough, &seen) >= 0);
    assert_int_equal(sd_event_loop(seen.event), 0);
    assert_int_equal(seen.lines_at_done, 20000);
    sd_event_source_disable_unref(timer);
    seen_end(&seen);
}

/* What one that ended left in the pipe is told although nobody asked for it. */
static void test_held_output_of_one_that_ended(void **state)
{
    Seen seen = {};

    (void) state;
    seen_start(&seen, &(ProcessSpec) { .argv = SH("echo a; echo b"), .timeout_usec = LONG });
    process_hold(seen.p, true);
    assert_int_equal(sd_event_loop(seen.event), 0);
    assert_int_equal(seen.lines_at_done, 2);
    seen_end(&seen);
}

static void test_huge_line_is_cut(void **state)
{
    Seen seen = {};

    (void) state;
    seen_start(&seen, &(ProcessSpec) { .argv = SH("head -c 300000 /dev/zero | tr '\\0' z; echo; echo after"),
                                       .timeout_usec = LONG });
    assert_int_equal(sd_event_loop(seen.event), 0);
    assert_int_equal(strv_length(seen.lines), 2);
    assert_int_equal(strlen(seen.lines[0]), 1 + PROCESS_LINE_MAX);
    assert_string_equal(seen.lines[1], "oafter");
    seen_end(&seen);
}

static void test_capture_keeps_long_lines_and_is_capped(void **state)
{
    ProcessResult r = run_script("head -c 100000 /dev/zero | tr '\\0' z");

    (void) state;
    assert_int_equal(strlen(r.out), 100000);
    process_result_done(&r);
    r = run_script("head -c 1000000 /dev/zero | tr '\\0' z; exit 4");
    assert_int_equal(strlen(r.out), PROCESS_OUTPUT_MAX);
    assert_string_equal(r.err, "");
    assert_int_equal(WEXITSTATUS(r.status), 4);
    process_result_done(&r);
}

static void test_endings(void **state)
{
    static const struct {
        const char *script, *text;
    } cases[] = {
        { "exit 0", "exit status 0" },
        { "exit 3", "exit status 3" },
        { "exit 255", "exit status 255" },
        { "kill -TERM $$", "killed by SIGTERM" },
        { "kill -KILL $$", "killed by SIGKILL" },
        { "kill -ABRT $$", "killed by SIGABRT" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        ProcessResult r = run_script(cases[i].script);
        _cleanup_(freep) char *text = process_status_string(r.status & ~0x80, r.timed_out);

        assert_string_equal(text, cases[i].text);
        process_result_done(&r);
    }
    _cleanup_(freep) char *late = process_status_string(0, true);
    assert_string_equal(late, "timed out");
}

static void test_deadline_terminates(void **state)
{
    ProcessResult r = run_ok(&(ProcessSpec) {
        .argv = SH("echo begun; exec sleep 1000"), .timeout_usec = 200 * USEC_PER_MSEC, .kill_after_usec = LONG });

    (void) state;
    assert_true(r.timed_out);
    assert_true(WIFSIGNALED(r.status));
    assert_int_equal(WTERMSIG(r.status), SIGTERM);
    process_result_done(&r);
}

static void test_deadline_kills_who_ignores_term(void **state)
{
    ProcessResult r = run_ok(&(ProcessSpec) { .argv = SH("trap '' TERM; echo begun; while :; do sleep 1000; done"),
                                              .timeout_usec = 500 * USEC_PER_MSEC,
                                              .kill_after_usec = 100 * USEC_PER_MSEC });

    (void) state;
    assert_true(r.timed_out);
    assert_int_equal(WTERMSIG(r.status), SIGKILL);
    process_result_done(&r);
}

static void test_deadline_reaches_the_group(void **state)
{
    /* the member that ignores TERM is gone afterwards although its leader ended at TERM */
    ProcessResult r =
        run_ok(&(ProcessSpec) { .argv = SH("(trap '' TERM; while :; do sleep 1000; done) & echo $!; wait"),
                                .timeout_usec = 500 * USEC_PER_MSEC,
                                .kill_after_usec = LONG });
    uint64_t pid = 0;

    (void) state;
    assert_non_null(r.out);
    r.out[strcspn(r.out, "\n")] = '\0';
    assert_int_equal(str_to_u64(r.out, 2, INT32_MAX, &pid), 0);
    for (int i = 0; i < 6000 && kill((pid_t) pid, 0) == 0; i++) {
        _cleanup_(freep) char *path = str_format("/proc/%llu/stat", (unsigned long long) pid);
        char text[512] = "";
        FILE *f = fopen(path, "re");

        if (f) {
            (void) !fread(text, 1, sizeof(text) - 1, f);
            fclose(f);
        }
        if (strstr(text, ") Z "))
            break; /* waits for init to reap it */
        usleep(10000);
        assert_true(i < 5999);
    }
    process_result_done(&r);
}

static void test_terminate(void **state)
{
    Seen seen = {};

    (void) state;
    seen_start(&seen, &(ProcessSpec) { .argv = SH("exec sleep 1000"), .timeout_usec = LONG });
    assert_true(process_pid(seen.p) > 1);
    process_terminate(seen.p);
    process_terminate(seen.p);
    assert_int_equal(sd_event_loop(seen.event), 0);
    assert_int_equal(WTERMSIG(seen.status), SIGTERM);
    assert_false(seen.timed_out);
    seen_end(&seen);
}

static void test_spawn_failures(void **state)
{
    static const struct {
        const char *program, *cwd, *id, *word;
        int r;
        usec_t timeout;
    } cases[] = {
        { "/nonexistent/podman", NULL, "process.spawn", "/nonexistent/podman", -ENOENT, LONG },
        { "/etc/passwd", NULL, "process.spawn", "/etc/passwd", -EACCES, LONG },
        { "/bin/true", "/nonexistent-folder", "process.spawn", "/nonexistent-folder", -ENOENT, LONG },
        { "true", NULL, "process.spawn", "path", -EINVAL, LONG },
        { "/bin/true", NULL, "process.no-deadline", "deadline", -EINVAL, 0 },
        { "/bin/true", NULL, "process.no-deadline", "deadline", -EINVAL, USEC_INFINITY },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const char *argv[] = { cases[i].program, NULL };
        ProcessSpec spec = { .argv = argv, .cwd = cases[i].cwd, .timeout_usec = cases[i].timeout };
        ProcessResult result = {};
        Error err = {};

        assert_int_equal(process_run(&spec, NULL, NULL, &result, &err), cases[i].r);
        assert_string_equal(error_id(&err), cases[i].id);
        assert_non_null(strstr(err.message, cases[i].word));
        assert_null(result.out);
        error_done(&err);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left behind */
}

static void test_environment_is_complete(void **state)
{
    const char *const env[] = { "ONLY=this", NULL };
    const char *const argv[] = { "/usr/bin/env", NULL };
    ProcessSpec spec = { .argv = argv, .timeout_usec = LONG };

    (void) state;
    assert_int_equal(setenv("LEAKS", "yes", 1), 0);
    ProcessResult r = run_ok(&spec);
    assert_string_equal(r.out, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\n");
    process_result_done(&r);
    spec.env = env;
    r = run_ok(&spec);
    assert_string_equal(r.out, "ONLY=this\n");
    process_result_done(&r);
}

static size_t count_own_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void test_descriptors(void **state)
{
    size_t before = count_own_fds();
    int a = open("/etc/passwd", O_RDONLY), b = open("/etc/group", O_RDONLY);
    const int pass[] = { b, a, b };
    const char *script = "for i in 3 4 5; do readlink /proc/$$/fd/$i; done; [ -e /proc/$$/fd/6 ] && echo leak; :";

    (void) state;
    assert_true(a >= 0 && b >= 0);
    ProcessResult r =
        run_ok(&(ProcessSpec) { .argv = SH(script), .timeout_usec = LONG, .pass_fds = pass, .n_pass_fds = 3 });
    assert_string_equal(r.out, "/etc/group\n/etc/passwd\n/etc/group\n");
    process_result_done(&r);

    /* inheritable descriptors of this process stay out when they are not passed */
    const char *const ls[] = { "/bin/ls", "/proc/self/fd", NULL };
    r = run_ok(&(ProcessSpec) { .argv = ls, .timeout_usec = LONG });
    assert_string_equal(r.out, "0\n1\n2\n3\n"); /* 3 is the folder that ls reads */
    process_result_done(&r);
    close(a);
    close(b);
    assert_int_equal(count_own_fds(), before);
}

static void test_pass_fds_cross(void **state)
{
    /* sources that sit on each other's targets */
    int saved3 = fcntl(3, F_DUPFD_CLOEXEC, 20), saved4 = fcntl(4, F_DUPFD_CLOEXEC, 20);
    int a = open("/etc/passwd", O_RDONLY), b = open("/etc/group", O_RDONLY);

    (void) state;
    int ha = fcntl(a, F_DUPFD, 30), hb = fcntl(b, F_DUPFD, 30);
    close(a);
    close(b);
    assert_int_equal(dup2(ha, 4), 4);
    assert_int_equal(dup2(hb, 3), 3);
    const int pass[] = { 4, 3 };
    ProcessResult r = run_ok(&(ProcessSpec) {
        .argv = SH("readlink /proc/$$/fd/3 /proc/$$/fd/4"), .timeout_usec = LONG, .pass_fds = pass, .n_pass_fds = 2 });
    assert_string_equal(r.out, "/etc/passwd\n/etc/group\n");
    process_result_done(&r);
    close(3);
    close(4);
    close(ha);
    close(hb);
    if (saved3 >= 0) {
        dup2(saved3, 3);
        close(saved3);
    }
    if (saved4 >= 0) {
        dup2(saved4, 4);
        close(saved4);
    }
}

static void test_input(void **state)
{
    size_t len = 1 << 20;
    char *big = malloc(len);
    const char *const wc[] = { "/usr/bin/wc", "-c", NULL };
    const char *const cat[] = { "/bin/cat", NULL };

    (void) state;
    assert_non_null(big);
    memset(big, 'i', len);
    ProcessResult r = run_ok(&(ProcessSpec) { .argv = wc, .timeout_usec = LONG, .input = big, .input_len = len });
    assert_string_equal(r.out, "1048576\n");
    process_result_done(&r);
    r = run_ok(&(ProcessSpec) { .argv = cat, .timeout_usec = LONG, .input = "some text", .input_len = 4 });
    assert_string_equal(r.out, "some");
    process_result_done(&r);
    r = run_ok(&(ProcessSpec) { .argv = wc, .timeout_usec = LONG });
    assert_string_equal(r.out, "0\n");
    process_result_done(&r);
    free(big);
}

static void test_signals_are_reset(void **state)
{
    sigset_t set, old;

    (void) state;
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_true(signal(SIGTERM, SIG_IGN) != SIG_ERR);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
    ProcessResult r = run_script("grep -E 'Sig(Ign|Blk)' /proc/self/status");
    assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    assert_true(signal(SIGTERM, SIG_DFL) != SIG_ERR);
    const char *blocked = strstr(r.out, "SigBlk:"), *ignored = strstr(r.out, "SigIgn:");
    assert_non_null(blocked);
    assert_non_null(ignored);
    assert_int_equal(strtoull(blocked + strlen("SigBlk:"), NULL, 16), 0);
    /* whoever was started by glibc's posix_spawn(3), as from make, ignores its two private signals, 32 and 33 */
    assert_int_equal(strtoull(ignored + strlen("SigIgn:"), NULL, 16) & ~(3ULL << 31), 0);
    process_result_done(&r);
}

static void test_folder_and_own_group(void **state)
{
    ProcessResult r = run_script("pwd; set -- $(cat /proc/$$/stat); [ $1 = $5 ] && echo leader");

    (void) state;
    assert_string_equal(r.out, "/\nleader\n");
    process_result_done(&r);
    r = run_ok(&(ProcessSpec) { .argv = SH("pwd"), .timeout_usec = LONG, .cwd = "/usr" });
    assert_string_equal(r.out, "/usr\n");
    process_result_done(&r);
}

static void test_descendant_keeps_output_open(void **state)
{
    Seen seen = {};
    usec_t begun = boottime_usec();

    (void) state;
    /* the descendant leaves the group, as conmon does, so that it can outlive everything here; it ends by itself */
    seen_start(&seen,
               &(ProcessSpec) { .argv = SH("setsid sleep 20 & printf 'unfinished'; exit 6"), .timeout_usec = LONG });
    assert_int_equal(sd_event_loop(seen.event), 0);
    assert_int_equal(WEXITSTATUS(seen.status), 6);
    assert_int_equal(strv_length(seen.lines), 1);
    assert_string_equal(seen.lines[0], "ounfinished");
    assert_true(boottime_usec() - begun < 19 * USEC_PER_SEC);
    seen_end(&seen);
}

static void test_free_while_running_kills_the_group(void **state)
{
    Seen seen = { .free_in_line = true };

    (void) state;
    seen_start(&seen, &(ProcessSpec) { .argv = SH("sleep 1000 & echo $!; wait"), .timeout_usec = LONG });
    pid_t leader = process_pid(seen.p);
    assert_int_equal(sd_event_loop(seen.event), 7);
    assert_int_equal(seen.done, 0);
    assert_int_equal(strv_length(seen.lines), 1);
    int status = 0;
    pid_t got = waitpid(leader, &status, 0); /* unless it was reaped at once */
    assert_true(got == leader || (got < 0 && errno == ECHILD));
    if (got == leader)
        assert_int_equal(WTERMSIG(status), SIGKILL);
    seen_end(&seen);
}

static void test_freed_children_are_reaped_by_the_loop(void **state)
{
    Seen seen = {};
    size_t before = count_own_fds();

    (void) state;
    seen_start(&seen, &(ProcessSpec) { .argv = SH("sleep 1000"), .timeout_usec = LONG });
    pid_t pid = process_pid(seen.p);
    seen.p = process_free(seen.p);
    for (int i = 0; i < 6000 && kill(pid, 0) == 0; i++)
        assert_true(sd_event_run(seen.event, 10 * USEC_PER_MSEC) >= 0);
    assert_int_equal(kill(pid, 0), -1); /* not even a zombie */
    assert_int_equal(seen.done, 0);
    seen_end(&seen);
    assert_int_equal(count_own_fds(), before);
}

static void test_drop_privileges(void **state)
{
    const char *script = "id -u; id -g; grep ^Groups: /proc/self/status; echo fine >/dev/stdout";
    ProcessSpec spec = {
        .argv = SH(script), .timeout_usec = LONG, .uid = 65534, .gid = 65534, .drop_privileges = true
    };

    (void) state;
    if (geteuid() != 0)
        skip();
    ProcessResult r = run_ok(&spec);
    assert_string_equal(r.out, "65534\n65534\nGroups:\t65534 \nfine\n");
    process_result_done(&r);
}

static void test_dies_with_parent(void **state)
{
    int fds[2];
    char text[32] = "";

    (void) state;
    assert_int_equal(pipe(fds), 0);
    pid_t middle = fork();
    assert_true(middle >= 0);
    if (middle == 0) {
        sd_event *event = NULL;
        Process *p = NULL;
        const int pass[] = { fds[1] };
        ProcessSpec spec = { .argv = SH("echo up >&3; exec sleep 1000"),
                             .timeout_usec = LONG,
                             .keep_with_parent = true,
                             .pass_fds = pass,
                             .n_pass_fds = 1 };

        close(fds[0]);
        if (sd_event_new(&event) < 0 || process_spawn(event, &spec, NULL, seen_done, NULL, &p, NULL) < 0)
            _exit(1);
        pause();
        _exit(1);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], text, sizeof(text)), 3); /* the grandchild is up */
    assert_int_equal(kill(middle, SIGKILL), 0);
    assert_int_equal(waitpid(middle, NULL, 0), middle);
    assert_int_equal(read(fds[0], text, sizeof(text)), 0); /* only its death closes the other end */
    close(fds[0]);
}

/* Whoever opens the file waits until we give up our lease on it, as on a disk that hangs. */
static int hold(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    (void) signal(SIGIO, SIG_IGN);
    assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    return fd;
}

static bool is_still_this_program(pid_t pid)
{
    char ours[256] = "", its[256] = "";
    _cleanup_(freep) char *path = str_format("/proc/%d/exe", (int) pid);

    assert_true(readlink(KERNELS_EXE, ours, sizeof(ours) - 1) > 0);
    return readlink(path, its, sizeof(its) - 1) > 0 && str_equal(ours, its);
}

#define TICKS 5

typedef struct Held {
    int fd;
    unsigned ticks;
    sd_event_source *timer;
    sd_event *event;
} Held;

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
    Held *h = userdata;

    (void) s;
    (void) usec;
    if (++h->ticks == TICKS) {
        assert_int_equal(fcntl(h->fd, F_SETLEASE, F_UNLCK), 0);
        return 0;
    }
    return timer_arm(h->event, &h->timer, 20 * USEC_PER_MSEC, on_tick, h);
}

static void test_a_program_on_a_disk_that_hangs_holds_up_nobody(void **state)
{
    char path[] = "/tmp/test-process-XXXXXX";
    int made = mkstemp(path);
    Seen seen = {};
    Held held = {};

    (void) state;
    assert_true(made >= 0);
    assert_true(dprintf(made, "#!/bin/sh\nexit 3\n") > 0);
    assert_int_equal(fchmod(made, 0700), 0);
    close(made);
    held.fd = hold(path);
    seen_start(&seen, &(ProcessSpec) { .argv = (const char *const[]) { path, NULL }, .timeout_usec = LONG });
    assert_true(is_still_this_program(process_pid(seen.p)));
    held.event = seen.event;
    assert_int_equal(timer_arm(seen.event, &held.timer, 0, on_tick, &held), 0);
    assert_int_equal(sd_event_loop(seen.event), 0);
    assert_int_equal(held.ticks, TICKS);
    assert_int_equal(WEXITSTATUS(seen.status), 3);
    close(held.fd);
    (void) unlink(path);
    sd_event_source_disable_unref(held.timer);
    process_free(seen.p);
    seen_end(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_order),
        cmocka_unit_test(test_streams_apart),
        cmocka_unit_test(test_one_output_in_the_order_of_the_writing),
        cmocka_unit_test(test_held_output_waits),
        cmocka_unit_test(test_held_output_of_one_that_ended),
        cmocka_unit_test(test_huge_line_is_cut),
        cmocka_unit_test(test_capture_keeps_long_lines_and_is_capped),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_deadline_terminates),
        cmocka_unit_test(test_deadline_kills_who_ignores_term),
        cmocka_unit_test(test_deadline_reaches_the_group),
        cmocka_unit_test(test_terminate),
        cmocka_unit_test(test_spawn_failures),
        cmocka_unit_test(test_environment_is_complete),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_pass_fds_cross),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_signals_are_reset),
        cmocka_unit_test(test_folder_and_own_group),
        cmocka_unit_test(test_descendant_keeps_output_open),
        cmocka_unit_test(test_free_while_running_kills_the_group),
        cmocka_unit_test(test_freed_children_are_reaped_by_the_loop),
        cmocka_unit_test(test_drop_privileges),
        cmocka_unit_test(test_dies_with_parent),
        cmocka_unit_test(test_a_program_on_a_disk_that_hangs_holds_up_nobody),
    };

    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
