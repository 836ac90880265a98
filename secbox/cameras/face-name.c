/* SPDX-License-Identifier: MIT */
#include "secbox/cameras/face-name.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"

#define PREFIX "secbox_"
#define ID_LEN 32
#define DIGEST_LEN 8

static const char hex[] = "0123456789abcdef";

bool face_name_make(const char *id, const char *sha256, char ret[static FACE_NAME_SIZE])
{
    char own[UUID_SIZE], *to = ret + strlen(PREFIX);

    if (!id || uuid_parse(id, own) < 0 || !sha256 || strspn(sha256, hex) < DIGEST_LEN)
        return false;
    memcpy(ret, PREFIX, strlen(PREFIX));
    for (const char *p = own; *p; p++)
        if (*p != '-')
            *to++ = *p;
    *to++ = '_';
    memcpy(to, sha256, DIGEST_LEN);
    to[DIGEST_LEN] = '\0';
    return true;
}

bool face_name_is_ours(const char *name)
{
    const char *id = name && str_starts(name, PREFIX) ? name + strlen(PREFIX) : "";

    return strlen(id) == ID_LEN + 1 + DIGEST_LEN && strspn(id, hex) == ID_LEN && id[ID_LEN] == '_' &&
           strspn(id + ID_LEN + 1, hex) == DIGEST_LEN;
}

bool face_name_id(const char *name, char ret[static UUID_SIZE])
{
    const char *id = face_name_is_ours(name) ? name + strlen(PREFIX) : NULL;
    char text[UUID_SIZE];

    if (!id)
        return false;
    (void) snprintf(text, sizeof(text), "%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8, id + 12, id + 16, id + 20);
    memcpy(ret, text, sizeof(text));
    return true;
}
