/* SPDX-License-Identifier: MIT */
/* Bodies whose handler has the head already: handed out piece by piece, or collected for it within what it allows. */
#include <errno.h>

#include "lib/base/limits.h"
#include "lib/event/daemon.h"
#include "lib/http/server-conn-impl.h"

#define PIECE_TIMEOUT (60 * USEC_PER_SEC)
/* Of a body that is collected at least so much comes from one look to the next. */
#define BYTES_PER_SECOND 1024
/* Somebody known has more time, not another rate. */
#define KNOWN_TIMES 2

static usec_t look_interval(const HttpConn *c)
{
    return c->server->body_look * (c->known ? KNOWN_TIMES : 1);
}

static void refuse_body(HttpConn *c, int r, const Error *err)
{
    int status = r == -EMSGSIZE ? 413 : r == -ENOBUFS ? 503 : r == -ENOMEM ? 500 : 400;
    http_conn_refuse(c, status, error_id(err), error_message(err, r));
}

/* Takes what is here of it. */
static int feed(HttpExchange *x, Error *err)
{
    Buf *in = &x->conn->in;
    size_t used = 0;
    if (x->whole)
        return 0;
    int r = http_body_feed(&x->reader, in->data ? in->data : "", in->len, &used, err);
    buf_consume(in, used);
    x->whole = r == 1;
    return r;
}

/* Hands out what has come, or that it was all. */
static void hand_out(HttpConn *c)
{
    HttpExchange *x = c->x;
    if (x->body.len == 0 && x->whole) {
        c->phase = HTTP_ANSWERING;
        timer_disarm(c->timer);
        x->on_body(x, "", 0, x->body_userdata);
    } else if (x->body.len > 0) {
        _cleanup_(buf_done) Buf piece = x->body; /* x may be gone when the call returns */
        x->body = BUF_INIT(piece.max);
        x->on_body(x, piece.data, piece.len, x->body_userdata);
    }
}

/* Hands out all of it, once it is there. Whether to go on. */
static bool collect(HttpConn *c)
{
    HttpExchange *x = c->x;
    if (x->whole) {
        c->phase = HTTP_ANSWERING;
        http_conn_settle(c);
        timer_disarm(c->timer);
        x->on_whole(x, x->body_userdata);
        return !c->life.ended && c->phase == HTTP_IDLE;
    }
    http_body_moves(x);
    if (!x->is_watched)
        http_conn_deadline(c, look_interval(c));
    x->is_watched = true;
    return false;
}

void http_body_moves(HttpExchange *x)
{
    HttpConn *c = x->conn;
    usec_t passed = boottime_usec() - c->since;
    if ((x->body.len - x->moved) * USEC_PER_SEC < passed * BYTES_PER_SECOND)
        return;
    x->moved = x->body.len;
    http_conn_moves(c);
}

void http_body_look(HttpConn *c)
{
    HttpExchange *x = c->x;
    size_t wanted = (size_t) (look_interval(c) * BYTES_PER_SECOND / USEC_PER_SEC);
    if (x->body.len - x->seen < wanted) {
        http_conn_refuse(c, 408, "http.timeout", "the request did not arrive in time");
        return;
    }
    x->seen = x->body.len;
    http_conn_deadline(c, look_interval(c));
}

bool http_body_round(HttpConn *c)
{
    _cleanup_(error_done) Error err = {};
    HttpExchange *x = c->x;
    c->goes_on = false;
    if ((!x->on_body && !x->on_whole) || x->paused)
        return false;
    int r = feed(x, &err);
    if (!x->on_whole)
        x->pieces += x->body.len;
    if (r >= 0 && x->pieces > x->pieces_max)
        r = error_set(&err, EMSGSIZE, "http.too-large", "the body is longer than %zu bytes", x->pieces_max);
    if (r < 0) {
        refuse_body(c, r, &err);
        return false;
    }
    if (x->on_whole)
        return collect(c);
    bool something = x->body.len > 0 || x->whole;
    http_conn_deadline(c, PIECE_TIMEOUT);
    hand_out(c);
    return something && !c->life.ended && (c->phase == HTTP_PIECES || c->phase == HTTP_IDLE);
}

/* The handler has only the head, and nothing more is read until it wants the body. */
bool http_body_begin(HttpConn *c)
{
    c->phase = HTTP_PIECES;
    http_conn_settle(c);
    timer_disarm(c->timer);
    stream_pause(c->stream, true);
    c->server->handler(c->x, c->server->userdata);
    return !c->life.ended && (c->phase == HTTP_PIECES || c->phase == HTTP_IDLE);
}

bool http_body_is_coming(const HttpExchange *x)
{
    return x->pieces_max > 0 && !x->whole;
}

bool http_body_is_long(const HttpExchange *x)
{
    return x->is_long;
}

/* The next round comes from the loop: a callback may not be called from inside of what it calls. */
static void body_go_on(HttpExchange *x)
{
    HttpConn *c = x->conn;
    if (!c || c->phase != HTTP_PIECES || (!x->on_body && !x->on_whole))
        return;
    stream_pause(c->stream, x->paused);
    if (x->paused) {
        c->goes_on = false;
        timer_disarm(c->timer);
    } else if (c->life.holds == 0) {
        c->goes_on = true;
        http_conn_deadline(c, 0);
    }
}

void http_body_receive(HttpExchange *x, http_body_t on_body, void *userdata)
{
    x->on_body = on_body;
    x->body_userdata = userdata;
    if (x->conn)
        http_conn_say_continue(x->conn);
    body_go_on(x);
}

void http_body_pause(HttpExchange *x, bool paused)
{
    if (x->paused == paused)
        return;
    x->paused = paused;
    body_go_on(x);
}

/* Strangers have a part of their own, and each address at most so much for those who have not shown who they are. */
static int reserve(HttpExchange *x, size_t len, Error *err)
{
    HttpConn *c = x->conn;
    HttpServer *s = c->server;
    bool known = c->known || c->caller->known;
    HttpCaller *caller = c->known ? NULL : http_caller_hold(s->callers, http_peer(x)); /* a proxy's are not its own */
    if (!c->known && !caller)
        return -ENOMEM;
    if ((known ? s->known_bytes + len > HTTP_BODIES_KNOWN_MAX : s->stranger_bytes + len > HTTP_BODIES_STRANGERS_MAX) ||
        (caller && caller->body_bytes + len > HTTP_BODIES_CALLER_MAX)) {
        http_caller_release(s->callers, caller);
        return error_set(err, ENOBUFS, "http.busy", "too many other requests are arriving: try again in some seconds");
    }
    x->reserved = len;
    x->from_all = known ? &s->known_bytes : &s->stranger_bytes;
    x->from_caller = caller;
    *x->from_all += len;
    if (caller)
        caller->body_bytes += len;
    return 0;
}

bool http_body_drop(HttpExchange *x)
{
    x->body.max = (size_t) INT64_MAX; /* it is here already */
    return feed(x, NULL) >= 0 && x->whole;
}

void http_body_release(HttpExchange *x)
{
    if (!x->from_all)
        return;
    *x->from_all -= x->reserved;
    x->from_all = NULL;
    if (x->from_caller)
        x->from_caller->body_bytes -= x->reserved;
    http_caller_release(x->conn->server->callers, TAKE_PTR(x->from_caller));
}

bool http_body_collect(HttpExchange *x, size_t max, http_whole_t on_whole, void *userdata)
{
    _cleanup_(error_done) Error err = {};
    HttpConn *c = x->conn;
    size_t len = x->head.chunked ? max : (size_t) x->head.content_length;
    if (!c)
        return false;
    int r = len > max ? error_set(&err, EMSGSIZE, "http.too-large", "the body is longer than %zu bytes", max)
                      : reserve(x, len, &err);
    x->body.max = max;
    if (r >= 0)
        r = feed(x, &err);
    if (r < 0) {
        refuse_body(c, r, &err);
        return false;
    }
    if (x->whole) {
        c->phase = HTTP_ANSWERING;
        stream_pause(c->stream, c->in.len > PIPELINE_MAX);
        return true;
    }
    x->on_whole = on_whole;
    x->body_userdata = userdata;
    http_conn_settle(c);
    http_conn_say_continue(c);
    body_go_on(x);
    return false;
}
