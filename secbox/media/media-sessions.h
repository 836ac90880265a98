/* SPDX-License-Identifier: MIT */
/* Who sees recordings: a token begins a session, and a cookie that the browser sends for one folder alone goes on with it, so that
 * the token is in one request and in no other. Pure: `now` is of a clock that does not run backwards. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/limits.h"
#include "lib/data/media-token.h"
#include "secbox/media/media-path.h"

/* A browser sends it over TLS only, and shows it to no script (RFC 6265bis §4.1.3.1). */
#define MEDIA_COOKIE "__Secure-media"
/* Files that are sent to one of them at the same time; a browser opens six connections. */
#define MEDIA_STREAMS_MAX 8
/* Of tokens that were taken back so many are remembered; they are good for minutes only. */
#define MEDIA_REVOKED_MAX 1024

typedef struct MediaSession {
    char cookie[JWT_ID_SIZE], token[JWT_ID_SIZE]; /* empty: the place is free */
    char *camera, *person;
    char *event;          /* that is seen; NULL: */
    uint64_t from, until; /* of the recording */
    usec_t ends, used;
    unsigned streams; /* that are being sent */
} MediaSession;

typedef struct MediaSessions {
    MediaSession all[MEDIA_SESSIONS_MAX];
    char (*revoked)[JWT_ID_SIZE]; /* MEDIA_REVOKED_MAX of them, the newest over the oldest; NULL: none yet */
    unsigned next_revoked;
} MediaSessions;

void media_sessions_done(MediaSessions *s);

bool media_session_covers(const MediaSession *s, const MediaPath *path);
/* The one that a Cookie header (or NULL) names and that covers the path, or NULL. */
MediaSession *media_session_find(MediaSessions *s, const char *cookies, const MediaPath *path, usec_t now);
/* The one of this token, begun now if there is none: *ret_new. media.busy: there are as many as may be, and each has been used a
 * short time ago. media.token-revoked: it was taken back. */
int media_session_begin(MediaSessions *s, const MediaToken *token, usec_t now, MediaSession **ret, bool *ret_new,
                        Error *err) _must_check_;
/* This token begins nothing more. The session that it has begun, or NULL: to be ended by the function below, when nothing is sent
 * to it any more. -ENOMEM: it could not be remembered. */
int media_sessions_revoke(MediaSessions *s, const char *token, MediaSession **ret) _must_check_;
void media_session_end(MediaSession *s);
