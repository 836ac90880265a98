/* SPDX-License-Identifier: MIT */
#include "lib/base/find-program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/strv.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

char *find_program(const char *name)
{
    const char *path = getenv("PATH");

    for (const char *dir = str_empty(path) ? PATH_DEFAULT : path; dir;) {
        const char *colon = strchr(dir, ':');
        int len = (int) (colon ? (size_t) (colon - dir) : strlen(dir));
        _cleanup_(freep) char *file = len > 0 ? str_format("%.*s/%s", len, dir, name) : NULL;

        if (file && file[0] == '/' && access(file, X_OK) == 0)
            return TAKE_PTR(file);
        dir = colon ? colon + 1 : NULL;
    }
    return NULL;
}
