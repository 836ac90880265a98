/* SPDX-License-Identifier: MIT */
/* What guards are shown of banned and expected plates and faces: the latest few, in memory, with their pictures. Pure. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/http/mjpeg-viewer.h"
#include "secbox/matches/sighting.h"

#define NOTICES_MAX 32
#define NOTICE_KEPT (15 * USEC_PER_MINUTE)

typedef struct Notice {
    Sighting of;
    cJSON *what;      /* owned: what is known of whom it may be */
    Picture *picture; /* NULL: none, or not yet */
    usec_t at;        /* when it was noticed, by a clock that never leaps */
} Notice;

typedef struct Notices {
    Notice list[NOTICES_MAX]; /* newest first */
    size_t n;
} Notices;

void notices_done(Notices *n);
/* Takes `what`. In place of one of the same object and kind, whose picture and moment it keeps, unless that is too old to be shown;
 * else the oldest may have to go. */
void notices_put(Notices *n, const Sighting *s, cJSON *what, usec_t now);
/* The one of this object and kind, borrowed; NULL: there is none that is still shown. */
const Notice *notices_find(const Notices *n, const Sighting *s, usec_t now);
/* It has turned out to be nobody of interest. True: there was one. */
bool notices_drop(Notices *n, const Sighting *s);
/* The picture of an object; true: a notice takes it. */
bool notices_set_picture(Notices *n, const char *id, const void *data, size_t len);
/* Borrowed; NULL: there is none. */
const Picture *notices_picture(const Notices *n, const char *id);
/* An array as docs/lan-api.md has it, of those that are not too old; NULL: out of memory. */
cJSON *notices_describe(const Notices *n, usec_t now);
