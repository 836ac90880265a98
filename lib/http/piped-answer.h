/* SPDX-License-Identifier: MIT */
/* An answer whose body comes from elsewhere, piece by piece, while it is sent; the connection ends with it. Whoever has the pieces
 * sends the next one when the peer has taken the last, so that nothing piles up for one who is slow. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/http/answer-head.h"
#include "lib/http/server.h"

typedef struct PipedAnswer PipedAnswer;

typedef struct PipedAnswerEvents {
    /* Asked for by piped_answer_want(): all that was sent has left. */
    void (*on_room)(PipedAnswer *a, void *userdata);
    /* Once, last: the peer has all of it, has hung up, or has taken nothing for 30 s. It is freed afterwards. */
    void (*on_gone)(PipedAnswer *a, void *userdata);
} PipedAnswerEvents;

/* Answers with what comes before the body. len: HTTP_LENGTH_UNKNOWN where it is not known; the end is then told apart from a line
 * that was cut. `headers`, "Name: value", ends with NULL. -ENOTCONN: more than the request has come, it was HEAD, or of HTTP/1.0;
 * -ENOMEM. x is still to be answered then. */
int piped_answer_new(HttpExchange *x, int status, const char *content_type, uint64_t len, const char *const *headers,
                     const PipedAnswerEvents *events, void *userdata, PipedAnswer **ret) _must_check_;
/* Ends the connection in the middle, unless all was sent. NULL-safe; allowed in every callback. on_gone is not called. */
PipedAnswer *piped_answer_free(PipedAnswer *a);

void piped_answer_want(PipedAnswer *a, bool room);
/* -ENOBUFS: too much waits already; -ENOTCONN: the peer is gone. Never calls back. */
int piped_answer_send(PipedAnswer *a, const void *data, size_t len) _must_check_;
/* That was all: on_gone follows when the peer has it, and on_room no more. */
void piped_answer_finish(PipedAnswer *a);
