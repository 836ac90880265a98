/* SPDX-License-Identifier: MIT */
/* Preloaded into mgmt-agent and its workers: a disk that takes two seconds to sync a file whose path holds SECBOX_SLOW_SYNC. */

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECONDS 2

int fsync(int fd)
{
    const char *slow = getenv("SECBOX_SLOW_SYNC");
    int (*real)(int);
    char link[64], path[PATH_MAX] = "";

    *(void **) &real = dlsym(RTLD_NEXT, "fsync");
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (slow && readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, slow))
        sleep(SECONDS);
    return real(fd);
}
