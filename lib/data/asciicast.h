/* SPDX-License-Identifier: MIT */
/* Writes asciicast v2 (docs.asciinema.org/manual/asciicast/v2): what a terminal showed, and when; one JSON document a line.
 * Pure. Its text is UTF-8: a byte that belongs to none becomes U+FFFD. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"

typedef struct CastHead {
    unsigned width, height;
    uint64_t timestamp;                 /* seconds since 1970 */
    const char *title, *command, *term; /* each may be NULL */
} CastHead;

/* One for each thing that writes: a character may come in two pieces. */
typedef struct CastStream {
    unsigned char begun[4]; /* of a character */
    size_t len;
} CastStream;

/* Append to `out`; -ENOMEM, -EMSGSIZE. `at` is the time since the recording began. */
int cast_head(const CastHead *head, Buf *out) _must_check_;
int cast_output(CastStream *s, usec_t at, const void *data, size_t len, Buf *out) _must_check_;
int cast_resize(usec_t at, unsigned width, unsigned height, Buf *out) _must_check_;
int cast_marker(usec_t at, const char *text, Buf *out) _must_check_;
