/* SPDX-License-Identifier: MIT */
/* Preloaded into programs that a test runs by the hundred: there are 128 instances of inotify for all of root's programs on a
 * machine, and without one systemd starts no box and no path unit beside them. Programs of ours look at their files now and then
 * where there is none. */
#include <errno.h>
#include <sys/inotify.h>

int inotify_init1(int flags)
{
    (void) flags;
    errno = EMFILE;
    return -1;
}

int inotify_init(void)
{
    return inotify_init1(0);
}
