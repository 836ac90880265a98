/* SPDX-License-Identifier: MIT */
#include "lib/data/camera-name.h"

#include <string.h>

bool camera_name_is_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = name ? strnlen(name, CAMERA_NAME_MAX + 1) : 0;

    return len > 0 && len <= CAMERA_NAME_MAX && strspn(name, allowed) == len;
}
