/* SPDX-License-Identifier: MIT */
#include "lib/websocket/connect.h"

#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/parser.h"
#include "lib/websocket/connection-impl.h"
#include "lib/websocket/handshake.h"

#define UPGRADE_TIMEOUT (10 * USEC_PER_SEC)

struct WsConnect {
    const WsConnectEvents *events;
    void *userdata;
    WsUrl url;
    Tls *tls;
    Stream *stream;
    sd_event_source *timer;
    char *protocol, *token;
    char key[WS_KEY_SIZE];
    Buf answer;
    size_t scanned;
    int status;
};

WsConnect *ws_connect_free(WsConnect *w)
{
    if (!w)
        return NULL;
    sd_event_source_disable_unref(w->timer);
    stream_free(w->stream);
    tls_free(w->tls);
    buf_done(&w->answer);
    ws_url_done(&w->url);
    free(w->protocol);
    secret_free(w->token);
    free(w);
    return NULL;
}

static void fail(WsConnect *w, int r, Error *err)
{
    error_from_errno(err, r, "cannot open a WebSocket to %s:%u", w->url.host, w->url.port);
    w->events->on_failed(w, r, w->status, err, w->userdata);
    ws_connect_free(w);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    WsConnect *w = userdata;
    _cleanup_(error_done) Error err = {};

    fail(w,
         error_set(&err, ETIMEDOUT, "ws.timeout",
                   "%s:%u took the connection but did not answer the upgrade within 10 s", w->url.host, w->url.port),
         &err);
    return 0;
}

static void on_open(Stream *s, void *userdata)
{
    WsConnect *w = userdata;
    _cleanup_(buf_done) Buf request = BUF_INIT(HTTP_HEADER_MAX);
    _cleanup_(error_done) Error err = {};
    int r = ws_make_key(w->key);

    if (r >= 0)
        r = ws_make_request(&request, &w->url, w->key, w->protocol, w->token);
    if (r >= 0)
        r = stream_send(s, request.data, request.len);
    if (r >= 0)
        r = timer_arm(stream_event(s), &w->timer, UPGRADE_TIMEOUT, on_timer, w);
    if (r < 0)
        fail(w, r, &err);
}

/* 1: upgraded, and what follows at *ret_rest is of the WebSocket; 0: more is needed. */
static int take_answer(WsConnect *w, size_t *ret_rest, Error *err)
{
    HttpHead head = {};
    int r = http_head_find(w->answer.data, w->answer.len, &w->scanned, err);

    if (r <= 0)
        return r;
    *ret_rest = (size_t) r;
    r = http_response_parse(w->answer.data, *ret_rest, &head, err);
    if (r >= 0) {
        w->status = head.status;
        r = ws_check_response(&head, w->key, w->protocol, err);
    }
    http_head_done(&head);
    return r < 0 ? r : 1;
}

static void on_data(Stream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    WsConnect *w = userdata;
    _cleanup_(error_done) Error err = {};
    size_t rest = 0;
    WsConn *c;
    int r = buf_append(&w->answer, data, len);

    if (r >= 0)
        r = take_answer(w, &rest, &err);
    if (r == 0)
        return;
    if (r > 0)
        r = ws_conn_new(w->stream, WS_CLIENT, &c);
    if (r < 0) {
        fail(w, r, &err);
        return;
    }
    _cleanup_(buf_done) Buf answer = w->answer;
    w->answer = BUF_INIT(HTTP_HEADER_MAX);
    w->stream = NULL;
    w->events->on_open(w, c, w->userdata);
    ws_connect_free(w);
    if (answer.len > rest)
        ws_conn_feed(c, (const uint8_t *) answer.data + rest, answer.len - rest);
}

static void on_closed(Stream *s _unused_, int r, const Error *why, void *userdata)
{
    WsConnect *w = userdata;
    _cleanup_(error_done) Error err = {};

    if (why)
        (void) error_copy(&err, why);
    else
        error_set(&err, ECONNRESET, "ws.bad-upgrade", "%s:%u closed the connection instead of answering the upgrade",
                  w->url.host, w->url.port);
    fail(w, r < 0 ? r : -ECONNRESET, &err);
}

static const StreamEvents stream_events = { .on_open = on_open, .on_data = on_data, .on_closed = on_closed };

int ws_connect(sd_event *event, const WsConnectTarget *target, const WsConnectEvents *events, void *userdata,
               WsConnect **ret, Error *err)
{
    _cleanup_(ws_connect_freep) WsConnect *w = calloc(1, sizeof(*w));
    int r;

    if (!w)
        return error_from_errno(err, -ENOMEM, "cannot open a WebSocket");
    w->events = events;
    w->userdata = userdata;
    w->answer = BUF_INIT(HTTP_HEADER_MAX + WS_MESSAGE_MAX);
    w->protocol = target->protocol ? strdup(target->protocol) : NULL;
    w->token = target->token ? strdup(target->token) : NULL;
    if ((target->protocol && !w->protocol) || (target->token && !w->token))
        return error_from_errno(err, -ENOMEM, "cannot open a WebSocket");
    r = ws_url_parse(target->url, "ws.bad-url", &w->url, err);
    if (r >= 0 && w->url.tls)
        r = tls_new_client(NULL, &w->tls, err);
    const StreamTarget to = { .host = w->url.host, .port = w->url.port, .tls = w->tls };
    if (r >= 0)
        r = stream_connect(event, &to, &stream_events, w, &w->stream, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(w);
    return 0;
}
