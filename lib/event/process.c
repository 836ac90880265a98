/* SPDX-License-Identifier: MIT */
/* The parent's side of children: starting, reading their lines, the deadline, the end. */
#include "lib/event/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "lib/base/lifetime.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/process-child.h"
#include "lib/event/daemon.h"

#define KILL_AFTER_DEFAULT (10 * USEC_PER_SEC)
#define LINGER (1 * USEC_PER_SEC) /* for output that descendants keep open */
#define READ_SIZE 16384
#define PIPE_SIZE 65536 /* what a pipe can hold when its writer has ended */
#define GROUPS_MAX 65536

typedef struct LineReader {
    Process *process;
    ProcessStream stream;
    sd_event_source *source; /* NULL after the end of file; owns its descriptor */
    bool partial;            /* something of a line has come */
    Buf line;                /* its limit is where a line is cut */
} LineReader;

struct Process {
    sd_event *event;
    pid_t pid;
    int pidfd;
    sd_event_source *exit_source, *timer;
    sd_event_source *start_source; /* until the child has become its program, or told why not; owns its descriptor */
    char *program, *cwd;           /* for that sentence */
    Error failure;
    int failure_code;
    LineReader readers[2];
    Buf *capture[2]; /* raw output for process_run(), borrowed */
    process_line_t on_line;
    process_done_t on_done;
    void *userdata;
    usec_t kill_after;
    int status;
    bool exited; /* but not reaped: its pid still names the group */
    bool terminating, timed_out, done;
    Lifetime life;
};

static const char *const default_env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                           "LANG=C.UTF-8", NULL };

static const char *const step_words[] = {
    [CHILD_STEP_DESCRIPTORS] = "its descriptors could not be set up",
    [CHILD_STEP_USER] = "it could not change to its user",
    [CHILD_STEP_FOLDER] = "its working folder could not be entered",
    [CHILD_STEP_PARENT] = "it could not be tied to its parent",
    [CHILD_STEP_EXEC] = "it could not be executed",
};

/* The group, or the child alone as long as it has not made one. */
static void process_signal(const Process *p, int sig)
{
    if (kill(-p->pid, sig) < 0 && errno == ESRCH)
        (void) kill(p->pid, sig);
}

static void process_destroy(Process *p)
{
    sd_event_source_disable_unref(p->exit_source);
    sd_event_source_disable_unref(p->timer);
    sd_event_source_disable_unref(p->start_source);
    free(p->program);
    free(p->cwd);
    error_done(&p->failure);
    for (size_t i = 0; i < ELEMENTSOF(p->readers); i++) {
        sd_event_source_disable_unref(p->readers[i].source);
        buf_done(&p->readers[i].line);
    }
    if (p->pidfd >= 0)
        close(p->pidfd);
    sd_event_unref(p->event);
    free(p);
}

static void process_release(Process *p)
{
    if (lifetime_release(&p->life))
        process_destroy(p);
}

static int reap_later(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    siginfo_t si = {};

    (void) revents;
    (void) userdata;
    (void) waitid(P_PIDFD, (id_t) fd, &si, WEXITED | WNOHANG);
    return sd_event_source_set_floating(s, 0); /* the loop's reference was the last */
}

/* Waits for a killed child without holding up anybody: the loop owns what is left of it. */
static void process_reap(Process *p)
{
    _cleanup_(sd_event_source_unrefp) sd_event_source *s = NULL;
    siginfo_t si = {};

    if (waitid(P_PIDFD, (id_t) p->pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid != 0)
        return;
    p->exit_source = sd_event_source_disable_unref(p->exit_source); /* a descriptor can be watched once */
    if (sd_event_add_io(p->event, &s, p->pidfd, EPOLLIN, reap_later, NULL) < 0)
        return;
    if (sd_event_source_set_io_fd_own(s, 1) >= 0)
        p->pidfd = -1;
    (void) sd_event_source_set_floating(s, 1);
}

static void process_finish(Process *p)
{
    siginfo_t si = {};

    if (p->done || p->life.ended)
        return;
    p->done = true;
    timer_disarm(p->timer);
    if (p->terminating)
        process_signal(p, SIGKILL); /* group members that took no notice of TERM */
    (void) waitid(P_PIDFD, (id_t) p->pidfd, &si, WEXITED | WNOHANG);
    p->on_done(p, p->status, p->timed_out, p->userdata);
}

static void process_check_end(Process *p)
{
    if (p->exited && !p->readers[0].source && !p->readers[1].source && !p->start_source)
        process_finish(p);
}

static void reader_emit(LineReader *r)
{
    Process *p = r->process;

    r->partial = false;
    if (p->on_line && !p->life.ended)
        p->on_line(p, r->stream, r->line.data ? r->line.data : "", p->userdata);
    buf_clear(&r->line);
}

static void reader_feed(LineReader *r, const char *data, size_t len)
{
    for (size_t i = 0; i < len && !r->process->life.ended; i++) {
        char c = data[i] ? data[i] : '?'; /* a line is a C string */

        if (c == '\n') {
            reader_emit(r);
            continue;
        }
        r->partial = true;
        if (r->line.len < r->line.max && buf_append(&r->line, &c, 1) < 0)
            r->line.max = r->line.len; /* out of memory cuts the line too */
    }
}

static void reader_capture(LineReader *r, const char *data, size_t len)
{
    Buf *b = r->process->capture[r->stream];

    if (!b)
        return;
    size_t room = b->max - b->len, n = len < room ? len : room;
    if (n > 0 && buf_append(b, data, n) < 0)
        b->max = b->len; /* out of memory: what is there is what it will be */
}

static void reader_end(LineReader *r)
{
    r->source = sd_event_source_disable_unref(r->source);
    if (r->partial)
        reader_emit(r);
}

/* One piece: > 0 read, 0 nothing there, < 0 the end. */
static int reader_read(LineReader *r, int fd)
{
    char data[READ_SIZE];
    ssize_t n = read(fd, data, sizeof(data));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -EPIPE;
    reader_capture(r, data, (size_t) n);
    reader_feed(r, data, (size_t) n);
    return (int) n;
}

static int on_output(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    LineReader *r = userdata;
    Process *p = r->process;

    (void) s;
    (void) revents;
    lifetime_hold(&p->life);
    if (reader_read(r, fd) < 0 && !p->life.ended) {
        reader_end(r);
        process_check_end(p);
    }
    process_release(p);
    return 0;
}

/* The child has ended but something still holds its output: take what the pipe holds, which is all that the child
 * itself can have written, and go on. */
static int on_linger(sd_event_source *s, uint64_t usec, void *userdata)
{
    Process *p = userdata;

    (void) s;
    (void) usec;
    lifetime_hold(&p->life);
    for (size_t i = 0; i < ELEMENTSOF(p->readers); i++) {
        LineReader *r = &p->readers[i];
        int n = 1;

        for (int total = 0; r->source && !p->life.ended && n > 0 && total < PIPE_SIZE; total += n)
            n = reader_read(r, sd_event_source_get_io_fd(r->source));
        if (r->source && !p->life.ended)
            reader_end(r);
    }
    process_finish(p);
    process_release(p);
    return 0;
}

static int on_kill(sd_event_source *s, uint64_t usec, void *userdata)
{
    Process *p = userdata;

    (void) s;
    (void) usec;
    process_signal(p, SIGKILL);
    return 0;
}

void process_terminate(Process *p)
{
    if (p->terminating || p->exited)
        return;
    p->terminating = true;
    process_signal(p, SIGTERM);
    if (timer_arm(p->event, &p->timer, p->kill_after, on_kill, p) < 0)
        process_signal(p, SIGKILL);
}

void process_hold(Process *p, bool held)
{
    sd_event_source *source = p->readers[PROCESS_STDOUT].source;

    if (source)
        (void) sd_event_source_set_enabled(source, held ? SD_EVENT_OFF : SD_EVENT_ON);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
    Process *p = userdata;

    (void) s;
    (void) usec;
    if (!p->terminating)
        p->timed_out = true;
    process_terminate(p);
    return 0;
}

static int on_exit_event(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    Process *p = userdata;
    siginfo_t si = {};

    (void) revents;
    /* reaped only at the very end: until then no new group can take over the number */
    if (waitid(P_PIDFD, (id_t) fd, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
        p->status = 255 << 8; /* somebody else reaped it: not known is not a success */
    else if (si.si_pid == 0)
        return 0;
    else
        p->status = si.si_code == CLD_EXITED ? (si.si_status & 0xff) << 8 : si.si_status & 0x7f;
    p->exited = true;
    lifetime_hold(&p->life);
    (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
    if (timer_arm(p->event, &p->timer, LINGER, on_linger, p) < 0)
        process_finish(p);
    process_check_end(p);
    process_release(p);
    return 0;
}

Process *process_free(Process *p)
{
    if (!p || !lifetime_end(&p->life))
        return NULL;
    if (!p->done) {
        process_signal(p, SIGKILL);
        process_reap(p);
    }
    process_release(p);
    return NULL;
}

pid_t process_pid(const Process *p)
{
    return p->pid;
}

static int pipe_watch(Process *p, ProcessStream stream, int *fd)
{
    LineReader *r = &p->readers[stream];
    int r0, flags = fcntl(*fd, F_GETFL);

    if (flags < 0 || fcntl(*fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    r->process = p;
    r->stream = stream;
    r0 = sd_event_add_io(p->event, &r->source, *fd, EPOLLIN, on_output, r);
    if (r0 < 0)
        return r0;
    r0 = sd_event_source_set_io_fd_own(r->source, 1);
    if (r0 < 0)
        return r0;
    *fd = -1;
    return 0;
}

static int input_open(const ProcessSpec *spec, int *ret)
{
    _cleanup_(closep) int fd = -1;
    size_t done = 0;

    fd = spec->input ? memfd_create("stdin", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (spec->input && done < spec->input_len) {
        ssize_t n = write(fd, spec->input + done, spec->input_len - done);

        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t) n : 0;
    }
    if (spec->input && lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    *ret = TAKE_FD(fd);
    return 0;
}

/* The user's groups, looked up before the fork because looking up allocates. */
static int groups_of(const ProcessSpec *spec, gid_t **ret, size_t *ret_n)
{
    const struct passwd *pw = getpwuid(spec->uid);
    int n = 64;

    for (;;) {
        _cleanup_(freep) gid_t *groups = calloc((size_t) n, sizeof(gid_t));
        int have = n;

        if (!groups)
            return -ENOMEM;
        groups[0] = spec->gid;
        if (!pw)
            have = 1;
        else if (getgrouplist(pw->pw_name, spec->gid, groups, &have) < 0) {
            if (n >= GROUPS_MAX)
                return -E2BIG;
            n *= 4;
            continue;
        }
        *ret = TAKE_PTR(groups);
        *ret_n = (size_t) have;
        return 0;
    }
}

static int spec_check(const ProcessSpec *spec, Error *err)
{
    if (!spec->argv || !spec->argv[0] || !strchr(spec->argv[0], '/'))
        return error_set(err, EINVAL, "process.spawn", "cannot start %s: programs are named by their path",
                         spec->argv && spec->argv[0] ? spec->argv[0] : "(nothing)");
    if (spec->n_pass_fds > PROCESS_PASS_FDS_MAX)
        return error_set(err, EINVAL, "process.spawn", "cannot start %s: more than %d descriptors to pass on",
                         spec->argv[0], PROCESS_PASS_FDS_MAX);
    if (spec->timeout_usec == 0 || spec->timeout_usec == USEC_INFINITY)
        return error_set(err, EINVAL, "process.no-deadline", "cannot start %s: it has no deadline", spec->argv[0]);
    return 0;
}

/* Does not wait until the child has become its program: on a disk that hangs, that takes as long as the disk likes. No handler
 * of ours may run in the child: all signals are blocked around the fork. */
static int fork_child(const ChildPlan *plan, pid_t *ret)
{
    sigset_t all, old;

    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, &old) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        process_child(plan);
    int fork_error = errno;
    (void) sigprocmask(SIG_SETMASK, &old, NULL);
    if (pid < 0)
        return -fork_error;
    *ret = pid;
    return 0;
}

static void take_failure(Process *p, const ChildFailure *f)
{
    const char *folder = f->step == CHILD_STEP_FOLDER ? p->cwd : NULL;

    p->failure_code = f->error;
    if (f->error <= 0 || (size_t) f->step >= ELEMENTSOF(step_words))
        return;
    error_set(&p->failure, f->error, "process.spawn", "cannot start %s: %s: %s%s%s", p->program, step_words[f->step],
              folder ? folder : "", folder ? ": " : "", strerror(f->error));
    if (p->on_line && !p->life.ended)
        p->on_line(p, PROCESS_STDERR, error_message(&p->failure, -f->error), p->userdata);
}

/* exec closes the child's end of the pipe; before that only a failure comes through it. */
static int on_started(sd_event_source *s _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    Process *p = userdata;
    ChildFailure f = {};
    ssize_t n = read(fd, &f, sizeof(f));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    lifetime_hold(&p->life);
    p->start_source = sd_event_source_disable_unref(p->start_source);
    if (n == sizeof(f))
        take_failure(p, &f);
    if (!p->life.ended)
        process_check_end(p);
    process_release(p);
    return 0;
}

typedef struct Pipe {
    int read, write;
} Pipe;

static void pipe_donep(Pipe *p)
{
    closep(&p->read);
    closep(&p->write);
}

static int pipe_open(Pipe *p)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *p = (Pipe) { fds[0], fds[1] };
    return 0;
}

static int process_start(Process *p, const ProcessSpec *spec, Pipe *out, Pipe *errs, Pipe *status)
{
    _cleanup_(closep) int in = -1;
    _cleanup_(freep) gid_t *groups = NULL;
    ChildPlan plan = { .spec = spec, .env = spec->env ? spec->env : default_env, .parent = getpid() };
    int r;

    /* not root and already that user: there is nothing to drop, and nothing that could be set */
    plan.set_user = spec->drop_privileges && (geteuid() == 0 || spec->uid != getuid() || spec->gid != getgid());
    if (plan.set_user && (r = groups_of(spec, &groups, &plan.n_groups)) < 0)
        return r;
    if ((r = input_open(spec, &in)) < 0 || (r = pipe_open(out)) < 0 || (r = pipe_open(errs)) < 0 ||
        (r = pipe_open(status)) < 0)
        return r;
    /* lets the child open /dev/stdout and /dev/stderr as its own user */
    if (plan.set_user &&
        (fchown(out->write, spec->uid, spec->gid) < 0 || fchown(errs->write, spec->uid, spec->gid) < 0))
        return -errno;
    plan.groups = groups;
    plan.in = in;
    plan.out = out->write;
    plan.err = spec->one_output ? out->write : errs->write;
    plan.status = status->write;
    r = fork_child(&plan, &p->pid);
    close(TAKE_FD(status->write));
    return r;
}

static int watch_start(Process *p, int *fd)
{
    int r, flags = fcntl(*fd, F_GETFL);

    if (flags < 0 || fcntl(*fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    if ((r = sd_event_add_io(p->event, &p->start_source, *fd, EPOLLIN, on_started, p)) < 0 ||
        (r = sd_event_source_set_io_fd_own(p->start_source, 1)) < 0)
        return r;
    *fd = -1;
    return 0;
}

static int process_watch(Process *p, const ProcessSpec *spec, Pipe *out, Pipe *errs, Pipe *status)
{
    int r;

    p->pidfd = pidfd_open(p->pid, 0);
    if (p->pidfd < 0)
        return -errno;
    if ((r = sd_event_add_io(p->event, &p->exit_source, p->pidfd, EPOLLIN, on_exit_event, p)) < 0 ||
        (r = pipe_watch(p, PROCESS_STDOUT, &out->read)) < 0 || (r = pipe_watch(p, PROCESS_STDERR, &errs->read)) < 0 ||
        (r = watch_start(p, &status->read)) < 0 ||
        (r = timer_arm(p->event, &p->timer, spec->timeout_usec, on_deadline, p)) < 0)
        return r;
    return 0;
}

/* Not to be waited for: it may hang. */
static void process_abandon(Process *p)
{
    process_signal(p, SIGKILL);
    if (p->pidfd >= 0)
        process_reap(p);
    process_destroy(p);
}

const Error *process_failure(const Process *p)
{
    return p->failure.id ? &p->failure : NULL;
}

int process_spawn(sd_event *event, const ProcessSpec *spec, process_line_t on_line, process_done_t on_done,
                  void *userdata, Process **ret, Error *err)
{
    _cleanup_(pipe_donep) Pipe out = { -1, -1 }, errs = { -1, -1 }, status = { -1, -1 };
    int r = spec_check(spec, err);

    if (r < 0)
        return r;
    Process *p = calloc(1, sizeof(*p));
    if (!p)
        return error_set(err, ENOMEM, "process.spawn", "cannot start %s: out of memory", spec->argv[0]);
    p->pidfd = -1;
    p->event = sd_event_ref(event);
    p->on_line = on_line;
    p->on_done = on_done;
    p->userdata = userdata;
    for (size_t i = 0; i < ELEMENTSOF(p->readers); i++)
        p->readers[i].line = BUF_INIT(spec->line_max ? spec->line_max : PROCESS_LINE_MAX);
    p->kill_after = spec->kill_after_usec ? spec->kill_after_usec : KILL_AFTER_DEFAULT;
    p->program = strdup(spec->argv[0]);
    p->cwd = spec->cwd ? strdup(spec->cwd) : NULL;
    r = p->program && (!spec->cwd || p->cwd) ? process_start(p, spec, &out, &errs, &status) : -ENOMEM;
    if (r < 0) {
        process_destroy(p);
        return error_set(err, -r, "process.spawn", "cannot start %s: %s", spec->argv[0], strerror(-r));
    }
    r = process_watch(p, spec, &out, &errs, &status);
    if (r < 0) {
        process_abandon(p);
        return error_set(err, -r, "process.spawn", "cannot watch %s: %s", spec->argv[0], strerror(-r));
    }
    *ret = p;
    return 0;
}

void process_result_done(ProcessResult *r)
{
    free(r->out);
    free(r->err);
    *r = (ProcessResult) {};
}

typedef struct Run {
    sd_event *event;
    process_line_t on_line;
    void *userdata;
    int status;
    bool timed_out;
} Run;

static void run_line(Process *p, ProcessStream stream, const char *line, void *userdata)
{
    Run *run = userdata;

    if (run->on_line)
        run->on_line(p, stream, line, run->userdata);
}

static void run_done(Process *p, int status, bool timed_out, void *userdata)
{
    Run *run = userdata;

    (void) p;
    run->status = status;
    run->timed_out = timed_out;
    (void) sd_event_exit(run->event, 0);
}

int process_run(const ProcessSpec *spec, process_line_t on_line, void *userdata, ProcessResult *ret, Error *err)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(process_freep) Process *p = NULL;
    _cleanup_(buf_done) Buf out = BUF_INIT(PROCESS_OUTPUT_MAX), errs = BUF_INIT(PROCESS_OUTPUT_MAX);
    Run run = { .on_line = on_line, .userdata = userdata };
    int r = sd_event_new(&event);

    if (r < 0)
        return error_set(err, -r, "process.spawn", "cannot make an event loop: %s", strerror(-r));
    run.event = event;
    r = process_spawn(event, spec, run_line, run_done, &run, &p, err);
    if (r < 0)
        return r;
    p->capture[PROCESS_STDOUT] = &out;
    p->capture[PROCESS_STDERR] = &errs;
    r = sd_event_loop(event);
    if (r < 0)
        return error_set(err, -r, "process.spawn", "the event loop failed: %s", strerror(-r));
    if (p->failure.id) {
        if (err)
            (void) error_copy(err, &p->failure);
        return -p->failure_code;
    }
    ProcessResult result = { .status = run.status, .timed_out = run.timed_out };
    result.out = buf_take(&out);
    result.err = buf_take(&errs);
    if (!result.out || !result.err) {
        process_result_done(&result);
        return error_set(err, ENOMEM, "process.spawn", "out of memory for the output of %s", spec->argv[0]);
    }
    *ret = result;
    return 0;
}

char *process_status_string(int status, bool timed_out)
{
    const char *name;

    if (timed_out)
        return str_format("timed out");
    if (WIFEXITED(status))
        return str_format("exit status %d", WEXITSTATUS(status));
    name = sigabbrev_np(WTERMSIG(status));
    if (!name)
        return str_format("killed by signal %d", WTERMSIG(status));
    return str_format("killed by SIG%s", name);
}
