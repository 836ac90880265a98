/* SPDX-License-Identifier: MIT */
#include "lib/data/project-name.h"

#include <errno.h>
#include <string.h>

bool project_name_is_good(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = name ? strlen(name) : 0;

    return len > 0 && len <= PROJECT_NAME_MAX && strspn(name, letters) == len && name[0] != '_' && name[0] != '-';
}

int project_name_check(const char *name, Error *err)
{
    if (project_name_is_good(name))
        return 0;
    return error_set(err, EINVAL, "project.bad-name",
                     "'%.60s' is no name of a project: up to %d of a-z, 0-9, _ and -, beginning with a letter or digit",
                     name ? name : "", PROJECT_NAME_MAX);
}
