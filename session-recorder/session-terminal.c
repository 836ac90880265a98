/* SPDX-License-Identifier: MIT */
/* A shell, or a command, on a terminal of its own, whose other side is ours: sshd's terminal passes everything on as it is, and
 * the new one has the modes and the size that sshd's had. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "session-recorder/relay.h"
#include "session-recorder/session.h"

#define IN 0
#define OUT 1
#define QUIET_MSEC 200 /* after its end nothing came for so long: who still has the terminal is in the background */

typedef struct Terminal {
    Session *session;
    struct termios modes; /* of sshd's */
    int master, signals;
    pid_t pid;
    int status;
    bool has_ended, is_hung_up, is_drained;
    Relay relays[2];
} Terminal;

static void become(const Session *s, int slave, const sigset_t *mask)
{
    const char *name = ttyname(slave);

    (void) sigprocmask(SIG_SETMASK, mask, NULL);
    if (name)
        (void) setenv("SSH_TTY", name, 1);
    if (login_tty(slave) < 0)
        _exit(127);
    session_exec(s->command, false);
}

static int start(Terminal *t)
{
    struct winsize size = {};
    sigset_t ours, before;
    int slave = -1;

    (void) ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
    if (tcgetattr(STDIN_FILENO, &t->modes) < 0 || openpty(&t->master, &slave, NULL, &t->modes, &size) < 0)
        return -errno;
    (void) sigemptyset(&ours);
    (void) sigaddset(&ours, SIGCHLD);
    (void) sigaddset(&ours, SIGWINCH);
    (void) sigaddset(&ours, SIGHUP);
    (void) sigaddset(&ours, SIGTERM);
    (void) sigprocmask(SIG_BLOCK, &ours, &before);
    t->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    (void) fcntl(t->master, F_SETFD, FD_CLOEXEC);
    t->pid = t->signals < 0 ? -1 : fork();
    if (t->pid == 0)
        become(t->session, slave, &before);
    int r = t->pid < 0 ? -errno : 0;
    close(slave);
    return r;
}

static void pass_everything(Terminal *t)
{
    struct termios raw = t->modes;

    cfmakeraw(&raw);
    (void) tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    t->relays[IN] = (Relay) { .from = STDIN_FILENO, .to = t->master };
    t->relays[OUT] = (Relay) { .from = t->master, .to = STDOUT_FILENO };
    (void) signal(SIGPIPE, SIG_IGN);
    (void) fcntl(t->master, F_SETFL, O_RDWR | O_NONBLOCK);
    (void) fcntl(STDIN_FILENO, F_SETFL, O_RDWR | O_NONBLOCK);
    (void) fcntl(STDOUT_FILENO, F_SETFL, O_RDWR | O_NONBLOCK);
}

static int resize(Terminal *t, Error *err)
{
    struct winsize size = {};

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || ioctl(t->master, TIOCSWINSZ, &size) < 0)
        return 0;
    return recording_resize(t->session->recording, size.ws_col, size.ws_row, err);
}

static int take_signals(Terminal *t, Error *err)
{
    struct signalfd_siginfo info;
    int r = 0;

    while (read(t->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGWINCH && r >= 0)
            r = resize(t, err);
        else if (info.ssi_signo == SIGHUP || info.ssi_signo == SIGTERM)
            t->is_hung_up = true;
        else if (info.ssi_signo == SIGCHLD && !t->has_ended && waitpid(t->pid, &t->status, WNOHANG) == t->pid)
            t->has_ended = true;
    }
    return r;
}

/* What is typed is passed on, and not recorded: passwords are typed. */
static void pass_in(Terminal *t)
{
    Relay *in = &t->relays[IN];
    int r = relay_read(in);

    if (r < 0)
        t->is_hung_up = true;
    if (r < 0 || t->has_ended || relay_write(in) < 0) {
        in->at = in->len;
        in->from = t->has_ended || r < 0 ? -1 : in->from;
    }
}

static int pass_out(Terminal *t, Error *err)
{
    Relay *out = &t->relays[OUT];
    int n = relay_read(out), r = 0;

    if (n > 0)
        r = recording_output(t->session->recording, 0, out->data, out->len, err);
    if (n < 0) { /* EIO: nobody has the other side any more */
        out->from = -1;
        t->is_drained = true;
    }
    if (relay_write(out) < 0)
        t->is_hung_up = true;
    return r;
}

static int wait_for_more(Terminal *t)
{
    struct pollfd fds[5] = { [4] = { .fd = t->signals, .events = POLLIN } };
    const usec_t wait = recording_wait(t->session->recording);
    int msec = wait == USEC_INFINITY ? -1 : (int) (wait / USEC_PER_MSEC) + 1;

    relay_poll(&t->relays[IN], fds);
    relay_poll(&t->relays[OUT], fds + 2);
    if (t->has_ended && (msec < 0 || msec > QUIET_MSEC))
        msec = QUIET_MSEC;
    int n = poll(fds, ELEMENTSOF(fds), msec);
    if (n == 0 && t->has_ended && relay_is_empty(&t->relays[OUT]))
        t->is_drained = true;
    return n;
}

static void serve(Terminal *t)
{
    bool goes_on = true;

    while (goes_on && !t->is_hung_up && !(t->is_drained && t->has_ended && relay_is_empty(&t->relays[OUT]))) {
        _cleanup_(error_done) Error err = {};

        (void) wait_for_more(t);
        int r = take_signals(t, &err);
        pass_in(t);
        if (r >= 0)
            r = pass_out(t, &err);
        if (r >= 0 && recording_wait(t->session->recording) == 0)
            r = recording_flush(t->session->recording, &err);
        goes_on = session_check(t->session, r, &err);
    }
}

int session_run_terminal(Session *s)
{
    static Terminal t;

    t = (Terminal) { .session = s, .master = -1, .signals = -1, .pid = -1 };
    int r = start(&t);
    if (r < 0)
        return r;
    pass_everything(&t);
    serve(&t);
    close(t.master); /* who is still there is told that the terminal is gone */
    (void) fcntl(STDOUT_FILENO, F_SETFL, O_RDWR);
    (void) tcsetattr(STDIN_FILENO, TCSANOW, &t.modes);
    if (!t.has_ended) {
        s->is_cut = true;
        return SIGHUP;
    }
    return t.status;
}
