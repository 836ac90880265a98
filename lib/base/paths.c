/* SPDX-License-Identifier: MIT */
/* One prefix for everything, so that several boxes run side by side on one machine. */

#include "lib/base/paths.h"

#include <string.h>

#include "lib/base/strv.h"

static char *root_prefix;

void paths_set_root(const char *root)
{
    size_t len = root ? strlen(root) : 0;

    while (len > 0 && root[len - 1] == '/')
        len--;
    free(root_prefix);
    root_prefix = strndup(root ? root : "", len);
}

const char *paths_root(void)
{
    if (!root_prefix)
        paths_set_root(getenv("SECBOX_ROOT"));
    return root_prefix ? root_prefix : "";
}

char *path_in_root(const char *path)
{
    return str_format("%s%s", paths_root(), path);
}

char *path_join(const char *a, const char *b)
{
    return str_format("%s/%s", a, b);
}
