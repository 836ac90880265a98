/* SPDX-License-Identifier: MIT */
/* One HTTP connection: reads whole requests within deadlines, hands them to the handler, sends the answers. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/lifetime.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/http/answer-head.h"
#include "lib/http/server-conn-impl.h"

#define HEAD_TIMEOUT (10 * USEC_PER_SEC)
#define BODY_TIMEOUT (60 * USEC_PER_SEC) /* where the handler is called with the whole request */
#define IDLE_TIMEOUT (60 * USEC_PER_SEC)
#define SEND_TIMEOUT (120 * USEC_PER_SEC)
#define ANSWER_MAX ((size_t) 16 * 1024 * 1024)
#define INPUT_MAX (2 * PIPELINE_MAX)
#define HEAD_USUAL ((size_t) 1024) /* of an answer */
/* Of an answer that is read while it is sent, this much at a time. */
#define CHUNK ((size_t) 64 * 1024)

static void conn_process(HttpConn *c);

static HttpExchange *exchange_free(HttpExchange *x)
{
    if (!x)
        return NULL;
    http_body_release(x);
    http_head_done(&x->head);
    buf_done(&x->body);
    free(x->path);
    free(x->peer);
    free(x);
    return NULL;
}

static void conn_unlink(HttpConn *c)
{
    HttpServer *s = c->server;
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->n_conns--;
    s->n_known -= c->known;
    for (HttpLine i = 0; i < _LINE_COUNT; i++)
        http_queue_leave(c, i);
}

static void greeting_over(HttpConn *c)
{
    if (!c->greeting)
        return;
    c->greeting = false;
    http_queue_leave(c, LINE_GREETING);
    http_server_handshake_over(c->server, c->as_known);
}

static void source_close(HttpConn *c)
{
    HttpSource source = c->source;
    c->source = (HttpSource) {};
    if (source.close)
        source.close(source.userdata);
}

void http_conn_free(HttpConn *c)
{
    if (!lifetime_end(&c->life))
        return;
    HttpExchange *x = TAKE_PTR(c->x);
    source_close(c);
    conn_unlink(c);
    greeting_over(c);
    c->timer = sd_event_source_disable_unref(c->timer);
    c->proxy = sd_event_source_disable_unref(c->proxy);
    c->stream = stream_free(c->stream);
    if (c->fd >= 0)
        close(TAKE_FD(c->fd));
    buf_done(&c->in);
    free(c->peer);
    if (x) {
        http_body_release(x);
        x->conn = NULL;
        if (x->gone && (c->phase == HTTP_ANSWERING || c->phase == HTTP_PIECES))
            x->gone(x, x->gone_userdata);
        exchange_free(x);
    }
    http_caller_release(c->server->callers, TAKE_PTR(c->caller));
    if (lifetime_release(&c->life))
        free(c);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

void http_conn_deadline(HttpConn *c, usec_t delay)
{
    /* Without a deadline a connection could stay for ever: rather lose it. */
    if (timer_rearm(c->server->event, &c->timer, delay, on_timer, c) < 0 && c->stream)
        stream_end(c->stream);
}

/* Sends nothing more and waits for the peer's end, so that a reset does not overtake the answer. */
static void conn_end(HttpConn *c)
{
    c->phase = HTTP_ENDING;
    http_conn_moves(c);
    timer_disarm(c->timer);
    buf_done(&c->in);
    stream_pause(c->stream, false);
    stream_end(c->stream);
}

/* The connection after an answer was queued: the next request, or the end. */
static void conn_answered(HttpConn *c)
{
    if (!c->keep_alive) {
        conn_end(c);
        return;
    }
    if (stream_queued(c->stream) > 0) {
        c->phase = HTTP_SENDING;
        http_conn_moves(c);
        http_conn_deadline(c, SEND_TIMEOUT);
        return;
    }
    c->phase = HTTP_IDLE;
    http_conn_moves(c);
    stream_pause(c->stream, false);
    if (c->in.len == 0) {
        buf_done(&c->in);
        http_conn_deadline(c, IDLE_TIMEOUT);
    } else if (c->life.holds == 0) {
        /* More requests are here already; the handler may not be called from inside http_respond(). */
        http_conn_deadline(c, 0);
    }
}

static void conn_send(HttpConn *c, int status, const char *content_type, const char *body, uint64_t len, bool head_only,
                      const char *const *headers)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(ANSWER_MAX);
    bool bodyless = head_only || status == 204 || status == 304;
    int r = buf_reserve(&out, HEAD_USUAL + (bodyless || !body ? 0 : (size_t) len));
    if (r >= 0)
        r = answer_head_write(&out, status, content_type, len, c->keep_alive, headers);
    if (r >= 0 && !bodyless && len > 0)
        r = buf_append(&out, body, (size_t) len);
    if (r >= 0)
        r = stream_send(c->stream, out.data, out.len);
    if (r < 0)
        c->keep_alive = false;
    conn_answered(c);
}

void http_respond(HttpExchange *x, int status, const char *content_type, const char *body, size_t len,
                  const char *const *headers)
{
    HttpConn *c = x->conn;
    bool head_only = x->head_only;
    if (!c)
        return;
    c->x = NULL;
    if (c->phase == HTTP_PIECES && !http_body_drop(x))
        c->keep_alive = false; /* the rest of the body is nobody's */
    conn_send(c, status, content_type, body, body ? len : 0, head_only, headers);
    exchange_free(x);
}

void http_respond_head(HttpExchange *x, int status, const char *content_type, uint64_t len, const char *const *headers)
{
    HttpConn *c = x->conn;

    if (!c)
        return;
    c->x = NULL;
    conn_send(c, status, content_type, NULL, len, true, headers);
    exchange_free(x);
}

/* Small steps in good time do not make a download that never ends. */
static void reading_deadline(HttpConn *c)
{
    usec_t now = boottime_usec(), left = SEND_TIMEOUT;
    if (c->read_until > 0 && c->read_until < now + left)
        left = c->read_until > now ? c->read_until - now : 0;
    http_conn_deadline(c, left);
}

void http_respond_from(HttpExchange *x, int status, const char *content_type, uint64_t len, const HttpSource *source,
                       const char *const *headers)
{
    HttpConn *c = x->conn;
    _cleanup_(buf_done) Buf out = BUF_INIT(ANSWER_MAX);
    if (!c) {
        source->close(source->userdata);
        return;
    }
    bool head_only = x->head_only;
    if (c->phase == HTTP_PIECES && !http_body_drop(x))
        c->keep_alive = false;
    c->x = exchange_free(x);
    c->source = *source;
    int r = answer_head_write(&out, status, content_type, len, c->keep_alive, headers);
    if (r >= 0)
        r = stream_send(c->stream, out.data, out.len);
    if (r < 0)
        c->keep_alive = false;
    if (r < 0 || head_only || len == 0) {
        source_close(c);
        conn_answered(c);
        return;
    }
    c->to_read = len;
    c->read_until = source->max_usec > 0 ? boottime_usec() + source->max_usec : 0;
    c->phase = HTTP_READING;
    http_conn_moves(c);
    reading_deadline(c);
    stream_want_write(c->stream, true);
}

/* One piece each time: others have their turn between. A source that fails ends the connection, by which the peer sees that
 * this was not all. */
static void on_writable(Stream *stream, void *userdata)
{
    HttpConn *c = userdata;
    uint8_t *to;
    if (c->phase != HTTP_READING)
        return;
    if (c->read_until > 0 && boottime_usec() >= c->read_until) {
        http_conn_free(c);
        return;
    }
    size_t want = c->to_read < CHUNK ? (size_t) c->to_read : CHUNK;
    if (stream_reserve(stream, want, &to) < 0 || c->source.read(c->source.userdata, to, want) < 0 ||
        stream_commit(stream, want) < 0) {
        http_conn_free(c);
        return;
    }
    c->to_read -= want;
    http_conn_moves(c);
    reading_deadline(c);
    if (c->to_read > 0)
        return;
    http_conn_deadline(c, SEND_TIMEOUT);
    stream_want_write(stream, false);
    source_close(c);
    conn_answered(c);
}

/* What the parser refuses never reaches the handler; what it refuses of a body that comes in pieces ends the handler's work. */
void http_conn_refuse(HttpConn *c, int status, const char *id, const char *message)
{
    static const char *const later[] = { "Retry-After: 5", NULL };
    if (c->phase == HTTP_PIECES && c->x->gone)
        c->x->gone(c->x, c->x->gone_userdata);
    _cleanup_(cJSON_Deletep) cJSON *answer = cJSON_CreateObject();
    cJSON *error = answer ? cJSON_AddObjectToObject(answer, "error") : NULL;
    _cleanup_(freep) char *text = NULL;
    if (error && json_add_string(error, "id", id) >= 0 && json_add_string(error, "message", message) >= 0)
        text = json_print(answer);
    c->x = exchange_free(c->x);
    c->keep_alive = false;
    conn_send(c, status, "application/json", text, text ? strlen(text) : 0, false, status == 503 ? later : NULL);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    HttpConn *c = userdata;
    if (c->phase == HTTP_PIECES && c->goes_on)
        conn_process(c);
    else if (c->phase == HTTP_PIECES && c->x->on_whole)
        http_body_look(c);
    else if (c->phase == HTTP_HEAD || c->phase == HTTP_BODY || c->phase == HTTP_PIECES)
        http_conn_refuse(c, 408, "http.timeout", "the request did not arrive in time");
    else if (c->phase == HTTP_IDLE && c->in.len > 0)
        conn_process(c);
    else if (c->phase != HTTP_ANSWERING) /* the handler takes as long as it takes */
        http_conn_free(c);
    return 0;
}

static int split_target(HttpExchange *x)
{
    const char *target = x->head.target;
    size_t len = strcspn(target, "?");
    x->query = target[len] == '?' ? target + len + 1 : NULL;
    return http_percent_decode(target, len, false, &x->path);
}

/* The proxies in front of us each add whom they heard it from; a field of its own, or one more word in the last one. */
static void find_peer(HttpExchange *x)
{
    HttpServer *s = x->conn->server;
    for (size_t i = x->head.n_fields; i > 0; i--) {
        const HttpField *f = &x->head.fields[i - 1];
        if (strcasecmp(f->name, "X-Forwarded-For") != 0)
            continue;
        s->behind_proxy = true;
        if (proxy_list_has_text(s->forwarded_for, stream_peer(x->conn->stream)))
            x->peer = proxy_forwarded_peer(s->forwarded_for, f->value);
        return;
    }
}

static bool method_is_known(const char *method)
{
    static const char *const known[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(method, known[i]))
            return true;
    return false;
}

/* Makes the exchange from a whole head. 0 or negative with *ret_status to answer. */
static int exchange_new(HttpConn *c, size_t head_len, int *ret_status, Error *err)
{
    HttpExchange *x = calloc(1, sizeof *x);
    *ret_status = 500;
    if (!x)
        return -ENOMEM;
    x->conn = c;
    x->body = BUF_INIT(HTTP_BODY_MAX);
    c->x = x;
    int r = http_request_parse(c->in.data, head_len, &x->head, ret_status, err);
    if (r < 0)
        return r;
    buf_consume(&c->in, head_len);
    if (!method_is_known(x->head.method)) {
        *ret_status = 501;
        return error_set(err, ENOSYS, "http.method", "the method %s is not known here", x->head.method);
    }
    if (split_target(x) < 0) {
        *ret_status = 400;
        return error_set(err, EBADMSG, "http.bad-request", "the path has a broken %%XX");
    }
    if (c->server->long_body && (x->head.chunked || x->head.content_length > HTTP_BODY_MAX))
        x->pieces_max = c->server->long_body(x, c->server->userdata);
    x->is_long = x->pieces_max > 0;
    if (x->pieces_max > 0 && x->head.content_length > x->pieces_max) {
        *ret_status = 413;
        return error_set(err, EMSGSIZE, "http.too-large", "the body is longer than %zu bytes", x->pieces_max);
    }
    if (x->pieces_max == 0 && x->head.content_length > HTTP_BODY_MAX) {
        *ret_status = 413;
        return error_set(err, EMSGSIZE, "http.too-large", "the body is longer than %d bytes", HTTP_BODY_MAX);
    }
    if (!x->is_long && c->server->head_first && (x->head.chunked || x->head.content_length > 0))
        x->pieces_max = HTTP_BODY_MAX;
    if (x->pieces_max > 0)
        x->body.max = x->pieces_max;
    find_peer(x);
    x->head_only = str_equal(x->head.method, "HEAD");
    http_body_init(&x->reader, &x->head, &x->body);
    return 0;
}

void http_conn_say_continue(HttpConn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (c->x->head.expects_continue && c->in.len == 0 && (c->x->head.chunked || c->x->head.content_length > 0) &&
        stream_send(c->stream, go_on, sizeof go_on - 1) < 0)
        c->keep_alive = false;
}

/* 1: the head is whole and good. 0: wait, or it was refused. */
static int take_head(HttpConn *c)
{
    _cleanup_(error_done) Error err = {};
    int status = 400;
    int r = http_head_find(c->in.data, c->in.len, &c->scanned, &err);
    if (r == 0)
        return 0;
    if (r > 0) {
        c->scanned = 0;
        r = exchange_new(c, (size_t) r, &status, &err);
    } else if (r == -EMSGSIZE) {
        status = 431;
    }
    if (r < 0) {
        http_conn_refuse(c, status, error_id(&err), error_message(&err, r));
        return 0;
    }
    c->used = true;
    c->keep_alive = c->x->head.keep_alive;
    c->phase = HTTP_BODY;
    if (c->x->pieces_max == 0)
        http_conn_say_continue(c);
    return 1;
}

/* 1: the body is whole. 0: wait, or it was refused. */
static int take_body(HttpConn *c)
{
    _cleanup_(error_done) Error err = {};
    size_t used = 0;
    int r = http_body_feed(&c->x->reader, c->in.data ? c->in.data : "", c->in.len, &used, &err);
    if (r < 0) {
        http_conn_refuse(c, r == -EMSGSIZE ? 413 : r == -ENOMEM ? 500 : 400, error_id(&err), error_message(&err, r));
        return 0;
    }
    buf_consume(&c->in, used);
    http_body_moves(c->x);
    return r;
}

/* Deadlines run from when a part began: those of a request that is whole at once are not set at all. */
static void await_rest(HttpConn *c, HttpPhase before)
{
    if (c->phase == HTTP_HEAD && before == HTTP_IDLE)
        http_conn_deadline(c, HEAD_TIMEOUT);
    else if (c->phase == HTTP_BODY && before != HTTP_BODY)
        http_conn_deadline(c, BODY_TIMEOUT);
}

/* The next whole request goes to the handler. Whether to go on. */
static bool process_one(HttpConn *c)
{
    HttpPhase before = c->phase;
    if (c->phase == HTTP_PIECES)
        return http_body_round(c);
    if (c->phase == HTTP_IDLE && c->in.len > 0) {
        c->phase = HTTP_HEAD;
        (c->used ? http_conn_moves : http_conn_settle)(c);
    }
    bool has_head = c->phase == HTTP_BODY || (c->phase == HTTP_HEAD && take_head(c) > 0);
    if (has_head && c->x->pieces_max > 0) {
        await_rest(c, before);
        return http_body_begin(c);
    }
    if (!has_head || take_body(c) == 0) {
        await_rest(c, before);
        return false;
    }
    c->phase = HTTP_ANSWERING;
    http_conn_settle(c);
    c->server->handler(c->x, c->server->userdata);
    return !c->life.ended && c->phase == HTTP_IDLE;
}

static bool conn_is_answering(const HttpConn *c)
{
    return c->phase == HTTP_ANSWERING || c->phase == HTTP_SENDING || c->phase == HTTP_READING;
}

/* Everything that the input allows, one request after the other. The connection may be gone afterwards. */
static void conn_process(HttpConn *c)
{
    lifetime_hold(&c->life);
    while (process_one(c))
        ;
    if (lifetime_release(&c->life))
        free(c);
    else if (conn_is_answering(c))
        stream_pause(c->stream, c->in.len > PIPELINE_MAX);
}

static void on_open(Stream *stream _unused_, void *userdata)
{
    greeting_over(userdata);
}

static void on_data(Stream *stream, const uint8_t *data, size_t len, void *userdata)
{
    HttpConn *c = userdata;
    if (c->phase == HTTP_ENDING)
        return;
    if (buf_append(&c->in, data, len) < 0) {
        http_conn_free(c);
        return;
    }
    if (conn_is_answering(c))
        stream_pause(stream, c->in.len > PIPELINE_MAX);
    else
        conn_process(c);
}

static void on_flushed(Stream *stream, void *userdata)
{
    HttpConn *c = userdata;
    if (c->phase != HTTP_SENDING && c->phase != HTTP_READING)
        return;
    http_conn_moves(c);
    if (c->phase == HTTP_SENDING && stream_queued(stream) == 0)
        conn_answered(c);
}

static void on_closed(Stream *stream _unused_, int r _unused_, const Error *err _unused_, void *userdata)
{
    http_conn_free(userdata);
}

static const StreamEvents stream_events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_flushed = on_flushed,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

int http_conn_open(HttpConn *c)
{
    HttpServer *s = c->server;
    int r = stream_accept(s->event, TAKE_FD(c->fd), s->tls, &stream_events, c, &c->stream);
    if (r >= 0 && c->peer)
        r = stream_set_peer(c->stream, c->peer);
    c->peer = (free(c->peer), NULL);
    if (r < 0)
        return r;
    stream_set_queue_max(c->stream, ANSWER_MAX);
    c->phase = HTTP_IDLE;
    c->greeting = s->tls != NULL;
    s->n_handshakes[c->as_known] += c->greeting;
    http_conn_deadline(c, HEAD_TIMEOUT);
    http_conn_settle(c);
    return 0;
}

/* Who calls, as the proxy says; those it speaks for itself are its own. */
static int take_caller(HttpConn *c, char *peer)
{
    HttpServer *s = c->server;
    c->peer = peer;
    if (!peer)
        return 0;
    HttpCaller *caller = http_caller_hold(s->callers, peer);
    if (!caller)
        return -ENOMEM;
    http_queue_leave(c, LINE_CALLER);
    http_queue_leave(c, LINE_SERVER);
    http_caller_release(s->callers, c->caller);
    c->caller = caller;
    return http_conn_make_room(s, caller);
}

/* Reads no byte beyond the header: what follows is TLS's. */
static int on_proxy(sd_event_source *source _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    HttpConn *c = userdata;
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *peer = NULL;
    uint8_t data[PROXY_HEADER_MAX];
    int wanted;
    while ((wanted = proxy_header_read((const uint8_t *) c->in.data, c->in.len, &peer, &err)) > 0) {
        ssize_t n = recv(fd, data, (size_t) wanted, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0 || buf_append(&c->in, data, (size_t) n) < 0) {
            http_conn_free(c);
            return 0;
        }
    }
    c->proxy = sd_event_source_disable_unref(c->proxy);
    buf_done(&c->in);
    if (wanted < 0 || take_caller(c, TAKE_PTR(peer)) < 0) {
        if (error_id(&err) && c->server->on_bad_proxy)
            c->server->on_bad_proxy(&err, c->server->userdata);
        http_conn_free(c);
        return 0;
    }
    (void) http_conn_greet(c);
    return 0;
}

static HttpConn *conn_new(HttpServer *s, const struct sockaddr *peer)
{
    _cleanup_(freep) char *address = stream_address_format(peer);
    HttpCaller *caller = address ? http_caller_hold(s->callers, address) : NULL;
    HttpConn *c = caller ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        http_caller_release(s->callers, caller);
        return NULL;
    }
    c->server = s;
    c->caller = caller;
    return c;
}

int http_conn_start(HttpServer *s, int fd, const struct sockaddr *peer, bool proxied)
{
    HttpConn *c = conn_new(s, peer);
    if (!c) {
        close(fd);
        return -ENOMEM;
    }
    c->fd = fd;
    c->since = boottime_usec();
    c->in = BUF_INIT(INPUT_MAX);
    c->next = s->conns;
    if (c->next)
        c->next->prev = c;
    s->conns = c;
    s->n_conns++;
    /* a proxy's own address is many people's */
    int r =
        proxied ? sd_event_add_io(s->event, &c->proxy, fd, EPOLLIN, on_proxy, c) : http_conn_make_room(s, c->caller);
    if (r < 0) {
        http_conn_free(c);
        return r;
    }
    http_conn_deadline(c, HEAD_TIMEOUT);
    if (!proxied)
        return http_conn_greet(c);
    http_conn_settle(c);
    return 0;
}

void http_conn_free_all(HttpServer *s)
{
    while (s->conns)
        http_conn_free(s->conns);
}

void http_on_gone(HttpExchange *x, void (*gone)(HttpExchange *x, void *userdata), void *userdata)
{
    x->gone = gone;
    x->gone_userdata = userdata;
}

const HttpHead *http_head(const HttpExchange *x)
{
    return &x->head;
}

Stream *http_switchable(const HttpExchange *x, CoarseClock **ret_clock)
{
    HttpConn *c = x->conn;
    if (!c || c->in.len > 0 || x->head_only || http_body_is_coming(x))
        return NULL;
    *ret_clock = c->server->clock;
    return c->stream;
}

void http_switch(HttpExchange *x, const char *answer, size_t len)
{
    HttpConn *c = x->conn;
    if ((x->peer && stream_set_peer(c->stream, x->peer) < 0) || stream_send(c->stream, answer, len) < 0)
        stream_end(c->stream);
    c->stream = NULL;
    c->x = exchange_free(x);
    http_conn_free(c);
}
