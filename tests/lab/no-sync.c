/* SPDX-License-Identifier: MIT */
/* Preloaded into mgmt-agent and its workers: as if one of our syncs were missing in the code, that of the file or folder whose path
 * ends with SECBOX_NO_SYNC. A mutation that a test of power cuts has to find. */

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_left_out(int fd)
{
    const char *end = getenv("SECBOX_NO_SYNC");
    char link[64], path[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = end ? readlink(link, path, sizeof(path) - 1) : -1;
    return n >= (ssize_t) (end ? strlen(end) : 0) && strncmp(path + n - strlen(end), end, strlen(end)) == 0;
}

static int sync_as(const char *name, int fd)
{
    int (*real)(int);

    *(void **) &real = dlsym(RTLD_NEXT, name);
    return is_left_out(fd) ? 0 : real(fd);
}

int fsync(int fd)
{
    return sync_as("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_as("fdatasync", fd);
}
