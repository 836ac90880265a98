/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/leftovers.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/host/podman-user.h"

#define LEFTOVER_WAIT_USEC (30 * USEC_PER_SEC)

/* Only podman-compose and the podman commands that it runs. conmon, the network helpers and rootless podman's own
 * processes inherit the marker too, and must live on: they hold the containers. */
static bool is_command(const char *pid)
{
    static const char *const verbs[] = { "run", "start", "create", "network" };
    _cleanup_(freep) char *path = str_format("/proc/%s/cmdline", pid);
    _cleanup_(freep) char *text = NULL;
    const char *args[4] = { "", "", "", "" };
    size_t len = 0, n = 0;

    if (!path || file_read(path, 256 * 1024, &text, &len, NULL) < 0)
        return false;
    for (size_t at = 0; at < len && n < ELEMENTSOF(args); at += strlen(text + at) + 1)
        args[n++] = text + at;
    if (str_ends(args[0], "podman-compose") || str_ends(args[1], "podman-compose") ||
        str_ends(args[1], "podman_compose.py"))
        return true;
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        if ((str_equal(args[0], "podman") || str_ends(args[0], "/podman")) && str_equal(args[1], verbs[i]))
            return true;
    return false;
}

/* Counts the leftovers, and ends them if that is wanted. By a handle that is opened before a process is looked at: what has
 * its number afterwards may be another. */
static unsigned each_leftover(const char *wanted, bool end)
{
    DIR *proc = opendir("/proc");
    unsigned n = 0;

    if (!proc)
        return 0;
    for (struct dirent *e; (e = readdir(proc));) {
        _cleanup_(closep) int process = -1;
        uint64_t pid;

        if (!isdigit((unsigned char) e->d_name[0]) || str_to_u64(e->d_name, 2, INT32_MAX, &pid) < 0 ||
            (pid_t) pid == getpid())
            continue;
        process = end ? pidfd_open((pid_t) pid, 0) : -1;
        if (!podman_user_marks(e->d_name, wanted) || !is_command(e->d_name))
            continue;
        n++;
        if (process >= 0)
            (void) pidfd_send_signal(process, SIGKILL, NULL, 0);
    }
    closedir(proc);
    return n;
}

void deploy_end_leftovers(void)
{
    _cleanup_(freep) char *wanted = podman_user_marker();
    usec_t until = boottime_usec() + LEFTOVER_WAIT_USEC;

    /* a `podman run` that is half-way is let finish: killing it would leave storage locked or mounts behind */
    while (wanted && each_leftover(wanted, false) > 0 && boottime_usec() < until)
        usleep(100 * 1000);
    if (wanted)
        (void) each_leftover(wanted, true);
}
