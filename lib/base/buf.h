/* SPDX-License-Identifier: MIT */
/* A growing byte buffer, which always has a limit. */
#pragma once

#include <stddef.h>

#include "lib/base/mem.h"

typedef struct Buf {
    char *data; /* always NUL-terminated when not NULL; owned */
    size_t len;
    size_t cap;
    size_t max; /* bytes it may hold */
} Buf;

#define BUF_INIT(limit) ((Buf) { .max = (limit) })

/* All return 0, -ENOMEM, or -EMSGSIZE when the limit would be passed (the content is then unchanged). */
int buf_append(Buf *b, const void *data, size_t len) _must_check_;
int buf_puts(Buf *b, const char *s) _must_check_;
int buf_printf(Buf *b, const char *fmt, ...) _printf_(2, 3) _must_check_;

/* Makes room for at least `len` more bytes behind the content (write there, then add to b->len). */
int buf_reserve(Buf *b, size_t len) _must_check_;

/* Drops the first `len` bytes. */
void buf_consume(Buf *b, size_t len);
void buf_clear(Buf *b);

/* Releases the memory; the limit stays. */
void buf_done(Buf *b);

/* Hands over the NUL-terminated content (NULL only when out of memory) and leaves the buffer empty. */
char *buf_take(Buf *b);
