/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/host/user-folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int user_folder_note(UserFolder *d, const char *path)
{
    struct stat st;

    *d = (UserFolder) {};
    if (!path || stat(path, &st) < 0)
        return 0;
    *d = (UserFolder) { .path = strdup(path), .dev = st.st_dev, .ino = st.st_ino };
    return d->path ? 0 : -ENOMEM;
}

void user_folder_done(UserFolder *d)
{
    free(d->path);
    *d = (UserFolder) {};
}

bool user_folder_is_gone(const UserFolder *d)
{
    struct stat st;

    return d->path && (stat(d->path, &st) < 0 || st.st_dev != d->dev || st.st_ino != d->ino);
}
