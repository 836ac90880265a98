/* SPDX-License-Identifier: MIT */
/* Growth doubles up to the limit that the buffer was made with. */

#include "lib/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/strv.h"

int buf_reserve(Buf *b, size_t len)
{
    size_t need, cap;
    char *data;

    if (__builtin_add_overflow(b->len, len, &need) || need > b->max)
        return -EMSGSIZE;
    if (b->data && need < b->cap)
        return 0;
    cap = b->cap ? b->cap : 64;
    while (cap <= need)
        cap *= 2;
    if (cap > b->max + 1)
        cap = b->max + 1;
    data = realloc(b->data, cap);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    b->data[b->len] = '\0';
    return 0;
}

int buf_append(Buf *b, const void *data, size_t len)
{
    int r = buf_reserve(b, len);

    if (r < 0)
        return r;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_puts(Buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_printf(Buf *b, const char *fmt, ...)
{
    _cleanup_(freep) char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = str_vformat(fmt, ap);
    va_end(ap);
    return text ? buf_puts(b, text) : -ENOMEM;
}

void buf_consume(Buf *b, size_t len)
{
    if (len > b->len)
        len = b->len;
    if (len == 0)
        return;
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
    b->data[b->len] = '\0';
}

void buf_clear(Buf *b)
{
    buf_consume(b, b->len);
}

void buf_done(Buf *b)
{
    free(b->data);
    *b = BUF_INIT(b->max);
}

char *buf_take(Buf *b)
{
    char *data;

    if (buf_reserve(b, 0) < 0)
        return NULL;
    data = b->data;
    *b = BUF_INIT(b->max);
    return data;
}
