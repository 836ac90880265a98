/* SPDX-License-Identifier: MIT */
/* What the files that serve recordings share. */
#pragma once

#include "secbox/media/media-sessions.h"
#include "secbox/media/media.h"

typedef struct MediaFetch MediaFetch;

struct Media {
    sd_event *event;
    HttpServer *server; /* for those outside; NULL: none */
    char *device_id, *origin;
    char *ping; /* the answer: whose box this is */
    Cameras *cameras;
    UplinkBudget *bound;
    MediaSessions sessions;
    MediaFetch *fetches; /* what is on its way */
    const Key *(*key)(void *userdata);
    void *userdata;
};

/* media-answer.c */

/* What each answer has, and `more`, which ends with NULL or is NULL. NULL: out of memory. */
char **media_headers(const Media *m, const HttpExchange *x, const char *const *more);
void media_answer(const Media *m, HttpExchange *x, int status, const char *type, const char *text, size_t len,
                  const char *const *more);
/* {"error": …} with the status that belongs to its id. */
void media_refuse(const Media *m, HttpExchange *x, int r, const Error *err);
/* A browser asks whether a page may ask (the Fetch Standard's CORS-preflight). */
void media_answer_preflight(const Media *m, HttpExchange *x);

/* media-fetch.c */

typedef struct MediaAsk {
    MediaPath path;
    MediaSession *session;
    const char *cookie; /* a header that begins the session in the browser; NULL: it has begun */
    bool outside;       /* the bound counts */
} MediaAsk;

/* Answers with what Frigate has. */
void media_fetch(Media *m, HttpExchange *x, const MediaAsk *ask);
void media_fetches_end(Media *m);
/* Of this session alone: who waits for an answer is told why there is none. */
void media_fetches_end_of(Media *m, const MediaSession *s, int r, const Error *err);
