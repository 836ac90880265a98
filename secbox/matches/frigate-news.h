/* SPDX-License-Identifier: MIT */
/* What Frigate says of what it sees: messages of its WebSocket, and the answers of /api/events and /api/review. Pure. What it
 * says is believed in its form alone: ids and cameras' names that cannot be some are no news. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "secbox/cameras/frigate.h"

/* How long what was read may be, in bytes; more of it is no plate, and no name that anybody gave. */
#define READING_MAX 64
#define NEWS_LABELS_MAX 8
#define NEWS_LABEL_SIZE 32

/* What was read, and how sure Frigate is of it, from 0 to 1; READING_NO_SCORE: it does not say. */
#define READING_NO_SCORE (-1.0)
typedef struct Reading {
    char text[READING_MAX + 1]; /* "": nothing */
    double score;
} Reading;

/* Of something that Frigate follows through the picture. */
typedef struct ObjectNews {
    char id[FRIGATE_ID_SIZE], camera[CAMERA_NAME_MAX + 1];
    usec_t started; /* since 1970 */
    usec_t at;      /* when it was so; 0: not told */
    bool ended;
    bool
        attempt; /* one look at it, while its name or plate is still being found out; else that is what Frigate takes it for */
    Reading face, plate;
} ObjectNews;

/* Of a while in which something happened, all objects of it together. */
typedef struct ReviewNews {
    char id[FRIGATE_ID_SIZE], camera[CAMERA_NAME_MAX + 1];
    usec_t from, until; /* until 0: it goes on */
    bool alert;
    char objects[NEWS_LABELS_MAX][NEWS_LABEL_SIZE], zones[NEWS_LABELS_MAX][NEWS_LABEL_SIZE];
    size_t n_objects, n_zones;
} ReviewNews;

typedef struct NewsEvents {
    void (*on_object)(const ObjectNews *o, void *userdata);
    void (*on_review)(const ReviewNews *r, void *userdata);
} NewsEvents;

/* When what has this id was first seen, to the second; 0: that is no id. */
usec_t frigate_id_time(const char *id);

/* A message of the WebSocket. 1: it was told; 0: it is about something else, or says too little. camera.frigate-answer:
 * nothing that Frigate sends. */
int frigate_news_message(const char *text, size_t len, const NewsEvents *events, void *userdata,
                         Error *err) _must_check_;

/* The answers of /api/events and /api/review: how many elements they had, those that say too little among them, and in *ret_first
 * when the earliest of these began (USEC_INFINITY: there is none). -EMSGSIZE: more than is read at a time. */
int frigate_news_events(const char *text, size_t len, const NewsEvents *events, void *userdata, usec_t *ret_first,
                        Error *err) _must_check_;
int frigate_news_reviews(const char *text, size_t len, const NewsEvents *events, void *userdata, usec_t *ret_first,
                         Error *err) _must_check_;
