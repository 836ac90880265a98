/* SPDX-License-Identifier: MIT */
#include "gateway/auth/operator-name.h"

#include <string.h>

bool operator_name_is_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
    size_t len = strlen(name);

    return len > 0 && len <= OPERATOR_NAME_MAX && strspn(name, allowed) == len;
}
