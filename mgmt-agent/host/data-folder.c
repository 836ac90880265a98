/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/host/data-folder.h"

#include <errno.h>
#include <sys/stat.h>

static bool is_there(const char *path)
{
    struct stat st;

    /* what cannot be looked at may hold data */
    return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool data_folder_is_nested(const char *nested, const char *direct, bool listed)
{
    return !is_there(direct) && (listed || is_there(nested));
}
