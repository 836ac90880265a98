/* SPDX-License-Identifier: MIT */
/* What a viewer asks for: /media/KIND/CAMERA/FROM/UNTIL/FILE, times in seconds since 1970, or /media/event/ID.mp4, of what Frigate
 * has followed. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "secbox/cameras/frigate.h"

typedef struct MediaPath {
    FrigateKind kind;                 /* FRIGATE_VOD and those behind it */
    char camera[CAMERA_NAME_MAX + 1]; /* of an event empty: whoever may see it was told which it is */
    uint64_t from, until;             /* not of an event */
    char event[FRIGATE_ID_SIZE];      /* else empty */
    const char *file;                 /* in the text that was parsed */
    size_t folder_len; /* of that text: up to and with the slash before the file; of an event, all of it */
    const char *type;  /* Content-Type of the answer, whatever Frigate says */
} MediaPath;

/* Whether it is one: the parts have their forms, and the time is not longer than MEDIA_WINDOW_SECONDS. */
bool media_path_parse(const char *path, MediaPath *ret);
/* The same of its parts, of which the file says what kind it is; folder_len is 0. */
bool media_path_make(const char *camera, uint64_t from, uint64_t until, const char *file, MediaPath *ret);
/* The clip of an event; `file` has to be ID.mp4. */
bool media_path_make_event(const char *camera, const char *file, MediaPath *ret);
