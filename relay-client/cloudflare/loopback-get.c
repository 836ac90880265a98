/* SPDX-License-Identifier: MIT */
#include "relay-client/cloudflare/loopback-get.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/parser.h"
#include "lib/net/stream.h"

#define LOOPBACK_GET_TIME (5 * USEC_PER_SEC)
#define ANSWER_MAX ((size_t) 256 * 1024)

struct LoopbackRequest {
    Stream *stream;
    sd_event_source *timer;
    char *request;
    Buf answer;
    loopback_get_done_t on_done;
    void *userdata;
};

static void no_answer(LoopbackRequest *g)
{
    g->on_done(g, 0, "", 0, g->userdata);
}

static void on_open(Stream *s, void *userdata)
{
    LoopbackRequest *g = userdata;

    if (stream_send(s, g->request, strlen(g->request)) < 0)
        no_answer(g);
}

static void on_data(Stream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    LoopbackRequest *g = userdata;

    if (buf_append(&g->answer, data, len) < 0)
        no_answer(g);
}

/* HTTP/1.0 has no chunks: the body ends where the connection does. */
static void on_closed(Stream *s _unused_, int r _unused_, const Error *err _unused_, void *userdata)
{
    LoopbackRequest *g = userdata;
    HttpHead head = {};
    size_t scanned = 0;
    int n = g->answer.len > 0 ? http_head_find(g->answer.data, g->answer.len, &scanned, NULL) : 0;

    if (n <= 0 || http_response_parse(g->answer.data, (size_t) n, &head, NULL) < 0) {
        no_answer(g);
        return;
    }
    int status = head.status;
    http_head_done(&head);
    g->on_done(g, status, g->answer.data + n, g->answer.len - (size_t) n, g->userdata);
}

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    no_answer(userdata);
    return 0;
}

static const StreamEvents events = { .on_open = on_open, .on_data = on_data, .on_closed = on_closed };

int loopback_get_new(sd_event *event, uint16_t port, const char *path, loopback_get_done_t on_done, void *userdata,
                     LoopbackRequest **ret)
{
    const StreamTarget target = { .host = "127.0.0.1", .port = port };
    LoopbackRequest *g = calloc(1, sizeof(*g));

    if (!g)
        return -ENOMEM;
    *g = (LoopbackRequest) { .answer = BUF_INIT(ANSWER_MAX), .on_done = on_done, .userdata = userdata };
    g->request = str_format("GET %s HTTP/1.0\r\nHost: 127.0.0.1:%u\r\n\r\n", path, port);
    int r = g->request ? stream_connect(event, &target, &events, g, &g->stream, NULL) : -ENOMEM;
    if (r >= 0)
        r = timer_arm(event, &g->timer, LOOPBACK_GET_TIME, on_deadline, g);
    if (r < 0) {
        loopback_get_free(g);
        return r;
    }
    *ret = g;
    return 0;
}

LoopbackRequest *loopback_get_free(LoopbackRequest *g)
{
    if (!g)
        return NULL;
    stream_free(g->stream);
    sd_event_source_disable_unref(g->timer);
    buf_done(&g->answer);
    free(g->request);
    free(g);
    return NULL;
}
