/* SPDX-License-Identifier: MIT */
/* ws-client URL [CA]: our WebSocket client for others to try. Echoes every message until the server closes, then
 * prints "closed CODE"; or "failed ID" when it does not come so far. */
#include <stdio.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/event/daemon.h"
#include "lib/net/stream.h"
#include "lib/websocket/connection-impl.h"
#include "lib/websocket/handshake.h"

typedef struct Client {
    sd_event *event;
    WsUrl url;
    Stream *stream;
    WsConn *ws;
    Buf answer;
    size_t scanned;
    char key[WS_KEY_SIZE];
} Client;

static void give_up(Client *c, const Error *err, int r)
{
    (void) printf("failed %s %s\n", error_id(err), error_message(err, r));
    c->stream = stream_free(c->stream);
    (void) sd_event_exit(c->event, 1);
}

static void on_text(WsConn *ws, const char *text, size_t len, void *userdata)
{
    (void) userdata;
    if (ws_conn_send_text(ws, text, len) < 0)
        ws_conn_close(ws, WS_CLOSE_INTERNAL, "cannot echo");
}

static void on_binary(WsConn *ws, const uint8_t *data, size_t len, void *userdata)
{
    (void) userdata;
    if (ws_conn_send_binary(ws, data, len) < 0)
        ws_conn_close(ws, WS_CLOSE_INTERNAL, "cannot echo");
}

static void on_ws_closed(WsConn *ws, uint16_t code, const Error *err, void *userdata)
{
    Client *c = userdata;
    (void) err;
    (void) printf("closed %u\n", code);
    c->ws = ws_conn_free(ws);
    (void) sd_event_exit(c->event, 0);
}

static const WsEvents ws_events = { .on_text = on_text, .on_binary = on_binary, .on_closed = on_ws_closed };

static void on_open(Stream *s, void *userdata)
{
    Client *c = userdata;
    _cleanup_(buf_done) Buf request = BUF_INIT(HTTP_HEADER_MAX);
    int r = ws_make_key(c->key);
    if (r >= 0)
        r = ws_make_request(&request, &c->url, c->key, "secbox.v1", "a.token");
    if (r >= 0)
        r = stream_send(s, request.data, request.len);
    if (r < 0)
        give_up(c, NULL, r);
}

static int take_answer(Client *c, size_t *ret_head, Error *err)
{
    HttpHead head = {};
    int r = http_head_find(c->answer.data, c->answer.len, &c->scanned, err);
    if (r <= 0)
        return r;
    *ret_head = (size_t) r;
    r = http_response_parse(c->answer.data, *ret_head, &head, err);
    if (r >= 0)
        r = ws_check_response(&head, c->key, "secbox.v1", err);
    http_head_done(&head);
    if (r >= 0)
        r = ws_conn_new(c->stream, WS_CLIENT, &c->ws);
    return r < 0 ? r : 1;
}

static void on_data(Stream *s, const uint8_t *data, size_t len, void *userdata)
{
    Client *c = userdata;
    _cleanup_(error_done) Error err = {};
    size_t head = 0;
    (void) s;
    int r = buf_append(&c->answer, data, len);
    if (r >= 0)
        r = take_answer(c, &head, &err);
    if (r < 0) {
        give_up(c, &err, r);
    } else if (r > 0) {
        c->stream = NULL;
        ws_conn_set_events(c->ws, &ws_events, c);
        ws_conn_feed(c->ws, (const uint8_t *) c->answer.data + head, c->answer.len - head);
    }
}

static void on_closed(Stream *s, int r, const Error *err, void *userdata)
{
    (void) s;
    give_up(userdata, err, r);
}

static const StreamEvents stream_events = { .on_open = on_open, .on_data = on_data, .on_closed = on_closed };

static int run(Client *c, const char *url, const char *ca, Error *err)
{
    _cleanup_(tls_freep) Tls *tls = NULL;
    int r = ws_url_parse(url, "client.bad-url", &c->url, err);
    if (r >= 0 && c->url.tls)
        r = tls_new_client(ca, &tls, err);
    StreamTarget target = { .host = c->url.host, .port = c->url.port, .tls = tls };
    if (r >= 0)
        r = stream_connect(c->event, &target, &stream_events, c, &c->stream, err);
    return r < 0 ? r : sd_event_loop(c->event);
}

int main(int argc, char **argv)
{
    _cleanup_(error_done) Error err = {};
    Client c = { .answer = BUF_INIT((size_t) 64 * 1024) };
    if (argc < 2)
        return 2;
    int r = service_loop_new(&c.event, &err);
    if (r >= 0)
        r = run(&c, argv[1], argc > 2 ? argv[2] : NULL, &err);
    if (r < 0)
        (void) printf("failed %s %s\n", error_id(&err), error_message(&err, r));
    ws_conn_free(c.ws);
    stream_free(c.stream);
    buf_done(&c.answer);
    ws_url_done(&c.url);
    sd_event_unref(c.event);
    return r != 0;
}
