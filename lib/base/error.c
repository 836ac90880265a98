/* SPDX-License-Identifier: MIT */
/* Errors carry an id for programs, a sentence for people, and the place in the user's input. */

#include "lib/base/error.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/strv.h"

static _printf_(4, 0) int error_vset(Error *e, int code, const char *id, const char *fmt, va_list ap)
{
    int r = code < 0 ? code : -code;

    /* nothing has gone wrong, or the first cause counts */
    if (r == 0 || !e || e->id)
        return r;
    e->id = id;
    e->message = str_vformat(fmt, ap);
    return r;
}

int error_set(Error *e, int code, const char *id, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = error_vset(e, code, id, fmt, ap);
    va_end(ap);
    return r;
}

int error_set_at(Error *e, int code, const char *id, const char *file, unsigned line, const char *key, const char *fmt,
                 ...)
{
    bool fresh = e && !e->id;
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = error_vset(e, code, id, fmt, ap);
    va_end(ap);
    if (fresh) {
        e->file = file ? strdup(file) : NULL;
        e->line = line;
        e->key = key ? strdup(key) : NULL;
    }
    return r;
}

int error_prefix(Error *e, int r, const char *fmt, ...)
{
    _cleanup_(freep) char *prefix = NULL, *whole = NULL;
    va_list ap;

    if (!e)
        return r;
    error_from_errno(e, r, "%s", strerror(r < 0 ? -r : r));
    va_start(ap, fmt);
    prefix = str_vformat(fmt, ap);
    va_end(ap);
    whole = prefix ? str_format("%s: %s", prefix, error_message(e, r)) : NULL;
    if (!whole)
        return r;
    free(e->message);
    e->message = TAKE_PTR(whole);
    return r;
}

int error_from_errno(Error *e, int r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_vset(e, r, "system.error", fmt, ap);
    va_end(ap);
    return r;
}

const char *error_id(const Error *e)
{
    return e && e->id ? e->id : "system.error";
}

const char *error_message(const Error *e, int r)
{
    return e && e->message ? e->message : strerror(r < 0 ? -r : r);
}

int error_copy(Error *dst, const Error *src)
{
    error_done(dst);
    dst->id = src->id;
    dst->line = src->line;
    dst->message = src->message ? strdup(src->message) : NULL;
    dst->file = src->file ? strdup(src->file) : NULL;
    dst->key = src->key ? strdup(src->key) : NULL;
    if ((src->message && !dst->message) || (src->file && !dst->file) || (src->key && !dst->key))
        return -ENOMEM;
    return 0;
}

void error_done(Error *e)
{
    if (!e)
        return;
    free(e->message);
    free(e->file);
    free(e->key);
    *e = (Error) {};
}
