/* SPDX-License-Identifier: MIT */
#include "compose/policy/bind-rules.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/base/strv.h"

bool path_is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    if (str_equal(dir, "/"))
        return true;
    return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

bool bind_uses_conflict(const BindUse *a, const BindUse *b)
{
    if (!a->writable && !b->writable)
        return false;
    if (str_equal(a->source, b->source))
        return false;
    return path_is_below(a->source, b->source) || path_is_below(b->source, a->source);
}

const BindUse *bind_find_conflict(const BindUse *use, const BindUse *others, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (&others[i] != use && bind_uses_conflict(use, &others[i]))
            return &others[i];
    return NULL;
}

BindFault bind_judge_component(mode_t mode, uid_t owner, uid_t trusted)
{
    if (S_ISLNK(mode))
        return BIND_LINK;
    if (!S_ISDIR(mode))
        return BIND_NO_FOLDER;
    if (owner != 0 && owner != trusted)
        return BIND_OWNER;
    return mode & (S_IWGRP | S_IWOTH) ? BIND_WRITABLE : BIND_SOUND;
}
