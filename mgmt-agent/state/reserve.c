/* SPDX-License-Identifier: MIT */
/* One file, allocated in advance. */

#include "mgmt-agent/state/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/paths.h"

#define RESERVE_BYTES (1024 * 1024)

static char *reserve_path(void)
{
    return path_in_root(AGENT_STATE_DIR "/reserve");
}

void reserve_make(void)
{
    _cleanup_(freep) char *path = reserve_path();
    _cleanup_(closep) int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;

    if (fd >= 0 && posix_fallocate(fd, 0, RESERVE_BYTES) != 0)
        (void) unlink(path);
}

int reserve_release(void)
{
    _cleanup_(freep) char *path = reserve_path();

    if (!path)
        return -ENOMEM;
    return unlink(path) < 0 ? -errno : 0;
}
