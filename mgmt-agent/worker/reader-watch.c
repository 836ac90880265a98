/* SPDX-License-Identifier: MIT */
/* A child that only waits: the worker itself may be blocked anywhere. */
#include "mgmt-agent/worker/reader-watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static _Noreturn void wait_for_the_end(pid_t worker)
{
    struct pollfd output = { .fd = STDOUT_FILENO }; /* an end without a reader is told unasked */

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != worker)
        _exit(1);
    while (poll(&output, 1, -1) < 0 && errno == EINTR) {
    }
    (void) kill(worker, SIGKILL);
    _exit(0);
}

int reader_watch_start(void)
{
    pid_t worker = getpid(), pid = fork();

    if (pid == 0)
        wait_for_the_end(worker);
    return pid < 0 ? -errno : 0;
}
