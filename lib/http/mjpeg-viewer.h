/* SPDX-License-Identifier: MIT */
/* Pictures that follow each other for ever (multipart/x-mixed-replace), to somebody who may be slower than they come: the newest
 * one wins, and who is slow loses some. One is held at most, beside what the socket has not taken of another. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/http/server.h"

/* A picture that several users share. */
typedef struct Picture {
    unsigned users;
    size_t len;
    uint8_t data[];
} Picture;

/* A copy with one user; NULL when out of memory. */
Picture *picture_new(const void *data, size_t len);
Picture *picture_ref(Picture *p);
/* NULL-safe. */
Picture *picture_unref(Picture *p);
DEFINE_CLEANUP(Picture, picture_unref)
/* Whether it begins and ends as a JPEG does: what a browser is told it is. */
bool picture_is_jpeg(const void *data, size_t len);

typedef struct MjpegViewer MjpegViewer;

typedef struct MjpegViewerEvents {
    /* Once, last: the viewer has hung up, or has taken nothing for 30 s. It is freed afterwards. */
    void (*on_gone)(MjpegViewer *v, void *userdata);
    void (*on_free)(MjpegViewer *v, void *userdata); /* it can take another picture at once; may be NULL */
} MjpegViewerEvents;

/* Answers with 200 and the pictures that follow. `headers`, "Name: value", ends with NULL. -ENOTCONN: more than the request has
 * come, or it was HEAD; -ENOMEM. x is still to be answered then. */
int mjpeg_viewer_new(HttpExchange *x, const char *const *headers, const MjpegViewerEvents *events, void *userdata,
                     MjpegViewer **ret) _must_check_;
/* Ends the connection. NULL-safe. */
MjpegViewer *mjpeg_viewer_free(MjpegViewer *v);

void mjpeg_viewer_show(MjpegViewer *v, Picture *p);
/* Nothing of an earlier picture waits. */
bool mjpeg_viewer_is_free(const MjpegViewer *v);
