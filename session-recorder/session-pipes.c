/* SPDX-License-Identifier: MIT */
/* A command without a terminal: its stdin is sshd's own, what it writes passes through us. It is in sshd's process group, whose
 * signals it gets itself. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session-recorder/relay.h"
#include "session-recorder/session.h"

#define OUT 0
#define ERR 1

static void become(const Session *s, const int out[static 2], const int err[static 2])
{
    static const int given[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE };

    for (size_t i = 0; i < ELEMENTSOF(given); i++)
        (void) signal(given[i], SIG_DFL);
    if (dup2(out[1], STDOUT_FILENO) < 0 || dup2(err[1], STDERR_FILENO) < 0)
        _exit(127);
    session_exec(s->command, s->is_transfer);
}

static int start(const Session *s, Relay relays[static 2], pid_t *ret)
{
    int out[2] = { -1, -1 }, err[2] = { -1, -1 };

    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        return -errno;
    *ret = fork();
    if (*ret < 0)
        return -errno;
    if (*ret == 0)
        become(s, out, err);
    close(out[1]);
    close(err[1]);
    close(STDIN_FILENO);
    relays[OUT] = (Relay) { .from = out[0], .to = STDOUT_FILENO };
    relays[ERR] = (Relay) { .from = err[0], .to = STDERR_FILENO, .drops = s->is_transfer };
    for (int i = 0; i < 2; i++) {
        (void) fcntl(relays[i].from, F_SETFL, O_NONBLOCK);
        (void) fcntl(relays[i].to, F_SETFL, O_NONBLOCK);
    }
    return 0;
}

/* Nobody reads it any more: then nobody shall write it. */
static void end(Relay *r)
{
    if (r->from >= 0)
        close(r->from);
    r->from = -1;
    r->at = r->len;
}

static bool pass_on(Session *s, Relay *r, unsigned stream)
{
    _cleanup_(error_done) Error err = {};
    int n = relay_read(r), e = 0;

    if (n > 0 && !(s->is_transfer && stream == OUT)) /* sftp's own protocol: files, not words */
        e = recording_output(s->recording, stream, r->data, r->len, &err);
    if (n < 0 || relay_write(r) < 0)
        end(r);
    return session_check(s, e, &err);
}

static bool wait_for_more(Session *s, const Relay relays[static 2])
{
    _cleanup_(error_done) Error err = {};
    struct pollfd fds[4];
    const usec_t wait = recording_wait(s->recording);

    relay_poll(&relays[OUT], fds);
    relay_poll(&relays[ERR], fds + 2);
    (void) poll(fds, ELEMENTSOF(fds), wait == USEC_INFINITY ? -1 : (int) (wait / USEC_PER_MSEC) + 1);
    return recording_wait(s->recording) > 0 ? true : session_check(s, recording_flush(s->recording, &err), &err);
}

int session_run_pipes(Session *s)
{
    static const int ignored[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE };
    static Relay relays[2];
    bool goes_on = true;
    pid_t pid = 0;
    int status = 0;

    for (size_t i = 0; i < ELEMENTSOF(ignored); i++)
        (void) signal(ignored[i], SIG_IGN);
    int r = start(s, relays, &pid);
    if (r < 0)
        return r;
    while (goes_on && (relays[OUT].from >= 0 || relays[ERR].from >= 0)) {
        goes_on = wait_for_more(s, relays) && pass_on(s, &relays[OUT], OUT);
        goes_on = goes_on && pass_on(s, &relays[ERR], ERR);
    }
    if (!goes_on) {
        (void) kill(pid, SIGHUP);
        return SIGHUP;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}
