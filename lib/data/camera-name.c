/* SPDX-License-Identifier: MIT */
#include "lib/data/camera-name.h"

#include <string.h>

bool camera_name_is_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = name ? strnlen(name, CAMERA_NAME_MAX + 1) : 0;

    return len > 0 && len <= CAMERA_NAME_MAX && strspn(name, allowed) == len;
}

bool frigate_id_is_valid(const char *id)
{
    static const char digits[] = "0123456789";
    size_t len = id ? strnlen(id, FRIGATE_ID_SIZE) : 0, at = len > 0 && len < FRIGATE_ID_SIZE ? strspn(id, digits) : 0;

    if (at == 0)
        return false;
    if (id[at] == '.')
        at += 1 + strspn(id + at + 1, digits);
    if (id[at] != '-' || id[at + 1] == '\0')
        return false;
    at++;
    return strspn(id + at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == len - at;
}
