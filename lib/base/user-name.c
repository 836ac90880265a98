/* SPDX-License-Identifier: MIT */
#include "lib/base/user-name.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

const char *user_name_own(char ret[static USER_NAME_SIZE])
{
    char buffer[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) != 0 || !found)
        (void) snprintf(ret, USER_NAME_SIZE, "%u", (unsigned) geteuid());
    else
        (void) snprintf(ret, USER_NAME_SIZE, "%s", found->pw_name);
    return ret;
}
