/* SPDX-License-Identifier: MIT */
#include "lib/http/piped-answer.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/buf.h"

#define HEAD_MAX ((size_t) 8192)
/* So little waits in the kernel when the next piece is chosen. */
#define UNSENT_MAX ((size_t) 64 * 1024)
#define CHUNK_HEAD_SIZE 20

struct PipedAnswer {
    Stream *stream;
    bool chunked;
    bool finished; /* only the peer is waited for */
    const PipedAnswerEvents *events;
    void *userdata;
};

static void gone(PipedAnswer *a)
{
    a->events->on_gone(a, a->userdata);
    piped_answer_free(a);
}

/* The connection ends with the answer: there is nothing more to say. */
static void on_data(Stream *s _unused_, const uint8_t *data _unused_, size_t len _unused_, void *userdata)
{
    PipedAnswer *a = userdata;

    if (!a->finished)
        gone(a);
}

static void on_closed(Stream *s _unused_, int r _unused_, const Error *err _unused_, void *userdata)
{
    gone(userdata);
}

static void on_writable(Stream *s, void *userdata)
{
    PipedAnswer *a = userdata;

    stream_want_write(s, false);
    if (a->finished)
        stream_end(s);
    else
        a->events->on_room(a, a->userdata);
}

static const StreamEvents stream_events = { .on_data = on_data, .on_writable = on_writable, .on_closed = on_closed };

int piped_answer_new(HttpExchange *x, int status, const char *content_type, uint64_t len, const char *const *headers,
                     const PipedAnswerEvents *events, void *userdata, PipedAnswer **ret)
{
    _cleanup_(buf_done) Buf head = BUF_INIT(HEAD_MAX);
    CoarseClock *clock;
    Stream *stream = http_head(x)->minor > 0 ? http_switchable(x, &clock) : NULL;
    int r = answer_head_write(&head, status, content_type, len, false, headers);
    PipedAnswer *a = stream && r >= 0 ? calloc(1, sizeof(*a)) : NULL;

    if (!a)
        return stream ? -ENOMEM : -ENOTCONN;
    *a = (PipedAnswer) {
        .stream = stream, .chunked = len == HTTP_LENGTH_UNKNOWN, .events = events, .userdata = userdata
    };
    http_switch(x, head.data, head.len);
    stream_set_events(stream, &stream_events, a);
    stream_set_unsent_max(stream, UNSENT_MAX);
    *ret = a;
    return 0;
}

PipedAnswer *piped_answer_free(PipedAnswer *a)
{
    if (!a)
        return NULL;
    stream_free(a->stream);
    free(a);
    return NULL;
}

void piped_answer_want(PipedAnswer *a, bool room)
{
    stream_want_write(a->stream, room);
}

int piped_answer_send(PipedAnswer *a, const void *data, size_t len)
{
    char head[CHUNK_HEAD_SIZE];
    int r = 0;

    if (len == 0)
        return 0;
    if (a->chunked) {
        int n = snprintf(head, sizeof(head), "%zx\r\n", len);
        r = stream_send(a->stream, head, (size_t) n);
    }
    if (r >= 0)
        r = stream_send(a->stream, data, len);
    return r >= 0 && a->chunked ? stream_send(a->stream, "\r\n", 2) : r;
}

void piped_answer_finish(PipedAnswer *a)
{
    static const char last[] = "0\r\n\r\n";

    a->finished = true;
    if (a->chunked && stream_send(a->stream, last, sizeof(last) - 1) < 0)
        stream_end(a->stream);
    else
        stream_want_write(a->stream, true);
}
