/* SPDX-License-Identifier: MIT */
/* The child's side of process_spawn(): descriptors, session, signals, user, folder, parent's death, exec. */
#include "lib/event/process-child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static _Noreturn void child_fail(int status_fd, ChildStep step)
{
    ChildFailure f = { .error = errno ? errno : EIO, .step = step };

    while (write(status_fd, &f, sizeof(f)) < 0 && errno == EINTR) {
    }
    _exit(127);
}

/* Moves every wanted descriptor above all targets first, so that no target overwrites one that is still needed. */
static int place_descriptors(const ChildPlan *plan, int *status)
{
    int n_pass = (int) plan->spec->n_pass_fds, top = 3 + n_pass + 1;
    int high[3 + PROCESS_PASS_FDS_MAX];
    int moved_status = fcntl(*status, F_DUPFD_CLOEXEC, top);

    if (moved_status < 0)
        return -errno;
    *status = moved_status;
    for (int i = 0; i < 3 + n_pass; i++) {
        int from = i == 0 ? plan->in : i == 1 ? plan->out : i == 2 ? plan->err : plan->spec->pass_fds[i - 3];

        high[i] = fcntl(from, F_DUPFD_CLOEXEC, top);
        if (high[i] < 0)
            return -errno;
    }
    for (int i = 0; i < 3 + n_pass; i++)
        if (dup2(high[i], i) < 0)
            return -errno;
    if (dup3(*status, 3 + n_pass, O_CLOEXEC) < 0)
        return -errno;
    *status = 3 + n_pass;
    return close_range((unsigned) top, ~0U, 0) < 0 ? -errno : 0;
}

static void reset_signals(void)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int s = 1; s <= SIGRTMAX; s++)
        (void) sigaction(s, &dfl, NULL); /* fails for KILL, STOP and libc's own, which need no reset */
    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

static int become_user(const ChildPlan *plan)
{
    const ProcessSpec *s = plan->spec;

    if (setgroups(plan->n_groups, plan->groups) < 0 || setresgid(s->gid, s->gid, s->gid) < 0 ||
        setresuid(s->uid, s->uid, s->uid) < 0)
        return -errno;
    return 0;
}

_Noreturn void process_child(const ChildPlan *plan)
{
    const ProcessSpec *s = plan->spec;
    int status = plan->status;

    (void) setsid();
    (void) umask(0022);
    if (place_descriptors(plan, &status) < 0)
        child_fail(status, CHILD_STEP_DESCRIPTORS);
    if (plan->set_user && become_user(plan) < 0)
        child_fail(status, CHILD_STEP_USER);
    if (chdir(s->cwd ? s->cwd : "/") < 0)
        child_fail(status, CHILD_STEP_FOLDER);
    /* after the change of user, which would forget it */
    if (s->keep_with_parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
            child_fail(status, CHILD_STEP_PARENT);
        if (getppid() != plan->parent)
            _exit(127);
    }
    reset_signals();
    (void) execve(s->argv[0], (char *const *) s->argv, (char *const *) plan->env);
    child_fail(status, CHILD_STEP_EXEC);
}
