/* SPDX-License-Identifier: MIT */
/* A strict HTTP/1.1 parser (RFC 9112) without I/O: heads of requests and responses, and bodies of requests. Where the
 * RFC lets a recipient repair what it reads, this one refuses: requests are smuggled past readers that repair
 * differently. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/limits.h"

typedef struct HttpField {
    const char *name;
    const char *value; /* without white space around */
} HttpField;

typedef struct HttpHead {
    char *text;                  /* the block that the others point into; owned */
    const char *method, *target; /* request */
    int status;                  /* response */
    int minor;                   /* HTTP/1.x */
    HttpField *fields;           /* owned */
    size_t n_fields;
    uint64_t content_length;
    bool has_length;
    bool chunked;
    bool keep_alive;
    bool expects_continue;
} HttpHead;

void http_head_done(HttpHead *h);

/* Where the head ends: the number of bytes up to and with the empty line; 0 when more is needed. Refuses at once what
 * can never become a head. -EMSGSIZE over HTTP_HEADER_MAX; -EBADMSG for a bare CR or LF or a NUL. *scanned (start with
 * 0) remembers how much has been searched. */
int http_head_find(const char *data, size_t len, size_t *scanned, Error *err) _must_check_;

/* Parses a block that http_head_find() found. On failure *ret_status is the answer that fits: 400, 417, 431, 501, 505.
 * Errors: http.bad-request. */
int http_request_parse(const char *data, size_t len, HttpHead *ret, int *ret_status, Error *err) _must_check_;
/* http.bad-response */
int http_response_parse(const char *data, size_t len, HttpHead *ret, Error *err) _must_check_;

/* The value of the first field of that name (any case), or NULL. */
const char *http_head_get(const HttpHead *h, const char *name);
/* Whether a comma-separated field (all of that name) has the token (any case). */
bool http_head_has_token(const HttpHead *h, const char *name, const char *token);

/* Reads the body that a head announces. */
typedef struct HttpBody {
    uint64_t left; /* of the length or of the chunk */
    Buf *out;
    uint8_t state;
    uint8_t digits;
    bool chunked;
} HttpBody;

void http_body_init(HttpBody *b, const HttpHead *h, Buf *out);
/* 1: the body is whole; 0: more is needed. *used bytes were taken. -EMSGSIZE over out->max (413), -EBADMSG (400). */
int http_body_feed(HttpBody *b, const char *data, size_t len, size_t *used, Error *err) _must_check_;

/* Decodes %XX (and + in queries); -EINVAL for broken ones and for %00. *ret is a new string. */
int http_percent_decode(const char *s, size_t len, bool plus, char **ret) _must_check_;
