/* SPDX-License-Identifier: MIT */
/* An error that a person can read and the cloud can match. */
#pragma once

#include <stdarg.h>

#include "lib/base/mem.h"

/* Set once, where the failure happened; callers only prefix. Start from `= {}`; release with error_done(). */
typedef struct Error {
    const char *id; /* stable and dotted, a string literal: "env.missing-keys" */
    char *message;  /* a sentence fragment without trailing period; owned */
    char *file;     /* where in the user's input, or NULL; owned */
    unsigned line;  /* 1-based, 0 when unknown */
    char *key;      /* the key or path in that input ("services.web.image"), or NULL; owned */
} Error;

/* Fills *e (which may be NULL) and returns -code, so that failing is one line. A call on an error that is set already
 * is ignored: the first reason wins. `id` must be a string literal. */
int error_set(Error *e, int code, const char *id, const char *fmt, ...) _printf_(4, 5);

/* Like error_set(), and records the place in the user's input. `file` and `key` may be NULL; both are copied. */
int error_set_at(Error *e, int code, const char *id, const char *file, unsigned line, const char *key, const char *fmt,
                 ...) _printf_(7, 8);

/* Puts "PREFIX: " before the message; where there is none yet, makes one from errno first. Returns r. */
int error_prefix(Error *e, int r, const char *fmt, ...) _printf_(3, 4);

/* Fills *e from a negative errno with the id "system.error" unless an error is set already. Returns r. */
int error_from_errno(Error *e, int r, const char *fmt, ...) _printf_(3, 4);

/* Never NULL: the id or "system.error", the message or strerror(-r). */
const char *error_id(const Error *e);
const char *error_message(const Error *e, int r);

/* Copies src over dst (dst is released first). */
int error_copy(Error *dst, const Error *src);

/* Releases the content and leaves an empty error that can be set again. NULL-safe. */
void error_done(Error *e);
