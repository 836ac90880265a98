/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/host/runtime-dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int runtime_dir_note(RuntimeDir *d, const char *path)
{
    struct stat st;

    *d = (RuntimeDir) {};
    if (!path || stat(path, &st) < 0)
        return 0;
    *d = (RuntimeDir) { .path = strdup(path), .dev = st.st_dev, .ino = st.st_ino };
    return d->path ? 0 : -ENOMEM;
}

void runtime_dir_done(RuntimeDir *d)
{
    free(d->path);
    *d = (RuntimeDir) {};
}

bool runtime_dir_is_gone(const RuntimeDir *d)
{
    struct stat st;

    return d->path && (stat(d->path, &st) < 0 || st.st_dev != d->dev || st.st_ino != d->ino);
}
