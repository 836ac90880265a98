/* SPDX-License-Identifier: MIT */
/* Takes JPEGs out of a multipart/x-mixed-replace body as Frigate sends it: mostly without a length, so that only the boundary says
 * where one ends. What the boundary is, the body's first line says. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

#define MULTIPART_BOUNDARY_MAX 70 /* RFC 2046 */
#define MULTIPART_HEAD_MAX ((size_t) 4096)

typedef struct Multipart {
    Buf buf; /* what has come and is not dealt with */
    /* "\r\n--" and the boundary; empty: not known yet */
    char delimiter[4 + MULTIPART_BOUNDARY_MAX + 1];
    size_t delimiter_len;
    bool in_part;   /* buf begins with a picture, else with the head of a part */
    size_t told;    /* the length at which the picture in buf was told already; 0: it was not */
    unsigned tells; /* how often one was */
    size_t scanned; /* as far as this there is no delimiter in buf */
    unsigned bad;   /* parts that were no JPEG, which are passed over */
    void (*on_picture)(const uint8_t *data, size_t len, void *userdata);
    void *userdata;
} Multipart;

void multipart_init(Multipart *m, size_t picture_max,
                    void (*on_picture)(const uint8_t *data, size_t len, void *userdata), void *userdata);
void multipart_done(Multipart *m);

/* Takes the next bytes; on_picture is called for each picture that is whole. Errors: camera.multipart, camera.too-large; nothing
 * can be made of the body then. */
int multipart_feed(Multipart *m, const void *data, size_t len, Error *err) _must_check_;
