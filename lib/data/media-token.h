/* SPDX-License-Identifier: MIT */
/* What lets somebody see a recording (docs/wire-format.md, "Recordings"): a signed token (RFC 7515) that names one camera of one
 * box and a window of time or an event, good for the few minutes in which a player begins. A box checks it with nobody to ask. */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/data/jwt.h"
#include "lib/data/key.h"

#define MEDIA_TOKEN_TYPE "media+jwt"
#define MEDIA_TOKEN_SECONDS 300
/* The longest recording that one token, and one request, is for. */
#define MEDIA_WINDOW_SECONDS 86400

/* What a token begins goes on for twice the recording, and so much longer, for pauses and for seeing some of it again. */
#define MEDIA_SPARE_SECONDS 600
/* Of an event nobody knows beforehand how long it was. */
#define MEDIA_EVENT_SECONDS 1800

typedef struct MediaToken {
    char *device, *camera;
    char *person;         /* who looks */
    char id[JWT_ID_SIZE]; /* of this one token */
    char *event;          /* what Frigate has followed, by its id; NULL: */
    uint64_t from, until; /* of the recording, seconds since 1970; until is past the last one */
    uint64_t not_before, expires;
} MediaToken;

void media_token_done(MediaToken *t);

/* How long a session lasts that it begins. */
uint64_t media_token_session_seconds(const MediaToken *t);

/* Gives the token its id and signs it. */
int media_token_sign(const Key *key, MediaToken *token, char **ret, Error *err) _must_check_;
/* Reads one of this key that is for this device, and good now (seconds since 1970; 60 s of difference between two clocks are
 * let pass). Errors: jwt.*, media.token-malformed, media.token-device, media.token-time. */
int media_token_open(const Key *key, const char *text, const char *device, uint64_t now, MediaToken *ret,
                     Error *err) _must_check_;
