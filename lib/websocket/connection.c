/* SPDX-License-Identifier: MIT */
/* One WebSocket connection on a stream: messages out of frames, pongs, keepalive, and the closing handshake. */
#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/lifetime.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/net/send-queue.h"
#include "lib/websocket/connection-impl.h"

#define CLOSE_TIMEOUT (5 * USEC_PER_SEC)
/* Delays from here on may be a second longer. */
#define COARSE_DELAY_MIN (6 * USEC_PER_SEC)
/* Control frames may be queued when messages no longer may. */
#define CONTROL_ROOM ((size_t) 4096)

typedef enum WsState {
    WS_OPEN,
    WS_CLOSING, /* our close frame is sent, the peer's is awaited */
    WS_LEAVING, /* nothing is awaited but the end of the stream */
    WS_FINISHED,
} WsState;

struct WsConn {
    Stream *stream;
    const WsEvents *events;
    void *userdata;
    sd_event_source *timer;
    CoarseTimer coarse; /* instead of `timer`, where there is a clock for it */
    CoarseClock *clock;
    WsMasks *masks;        /* client only */
    uint8_t *pong;         /* the newest ping that could not be answered yet; owned */
    SendQueue *waiting;    /* whole frames behind what the stream has queued; NULL when there are none */
    usec_t interval, dead; /* 0 = no keepalive */
    usec_t last_alive, next_ping;
    usec_t ping_at; /* when the ping that is under way was sent; 0 = none is */
    usec_t rtt;
    Error err;
    WsDecoder decoder;
    WsState state;
    uint32_t ping_serial;
    uint16_t close_code;
    Lifetime life;
    uint8_t pong_len;
    bool refused; /* a send was; on_drained is owed */
};

static const StreamEvents stream_events;

int ws_conn_new(Stream *stream, WsRole role, WsConn **ret)
{
    WsConn *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    if (role == WS_CLIENT) {
        c->masks = calloc(1, sizeof *c->masks);
        if (!c->masks) {
            free(c);
            return -ENOMEM;
        }
    }
    c->stream = stream;
    c->close_code = WS_CLOSE_GONE;
    c->last_alive = boottime_usec();
    ws_decoder_init(&c->decoder, role, WS_MESSAGE_MAX);
    stream_set_queue_max(stream, TUNNEL_QUEUE_BYTES_MAX + CONTROL_ROOM);
    stream_set_unsent_max(stream, MUX_NOTSENT_LOWAT);
    stream_set_events(stream, &stream_events, c);
    *ret = c;
    return 0;
}

static void waiting_free(WsConn *c)
{
    if (c->waiting)
        send_queue_clear(c->waiting);
    free(c->waiting);
    c->waiting = NULL;
}

static void timers_off(WsConn *c)
{
    c->timer = sd_event_source_disable_unref(c->timer);
    coarse_timer_disarm(&c->coarse);
}

static void ws_conn_destroy(WsConn *c)
{
    coarse_clock_unref(c->clock);
    ws_decoder_done(&c->decoder);
    waiting_free(c);
    error_done(&c->err);
    free(c->masks);
    free(c->pong);
    free(c);
}

static void ws_conn_release(WsConn *c)
{
    if (lifetime_release(&c->life))
        ws_conn_destroy(c);
}

WsConn *ws_conn_free(WsConn *c)
{
    if (!c || !lifetime_end(&c->life))
        return NULL;
    timers_off(c);
    c->stream = stream_free(c->stream);
    ws_conn_release(c);
    return NULL;
}

/* The end, told once. */
static void finish(WsConn *c)
{
    if (c->state == WS_FINISHED || c->life.ended)
        return;
    c->state = WS_FINISHED;
    timers_off(c);
    lifetime_hold(&c->life);
    if (c->events && c->events->on_closed)
        c->events->on_closed(c, c->close_code, &c->err, c->userdata);
    c->stream = stream_free(c->stream);
    ws_conn_release(c);
}

static int send_frame(WsConn *c, WsOpcode opcode, const void *head, size_t head_len, const void *data, size_t len)
{
    uint8_t *at;
    size_t size = ws_frame_size(c->masks, head_len + len);
    int r = stream_reserve(c->stream, size, &at);
    if (r < 0)
        return r;
    ws_frame_write(at, c->masks, opcode, head, head_len, data, len);
    return stream_commit(c->stream, size);
}

static int send_control(WsConn *c, WsOpcode opcode, const void *data, size_t len)
{
    return send_frame(c, opcode, NULL, 0, data, len);
}

/* Behind what the stream has queued, where control frames can still pass it. */
static int hold_back(WsConn *c, WsOpcode opcode, const void *head, size_t head_len, const void *data, size_t len)
{
    size_t size = ws_frame_size(c->masks, head_len + len);
    _cleanup_(freep) uint8_t *frame = malloc(size);
    if (!frame)
        return -ENOMEM;
    if (!c->waiting) {
        c->waiting = malloc(sizeof *c->waiting);
        if (!c->waiting)
            return -ENOMEM;
        *c->waiting = SEND_QUEUE_INIT(SIZE_MAX, TUNNEL_QUEUE_BYTES_MAX + CONTROL_ROOM);
    }
    ws_frame_write(frame, c->masks, opcode, head, head_len, data, len);
    return send_queue_push(c->waiting, (const char *) frame, size);
}

static void release_waiting(WsConn *c)
{
    size_t len = 0;
    const char *frame;
    while (c->waiting && stream_queued(c->stream) == 0 && (frame = send_queue_peek(c->waiting, &len))) {
        if (stream_send(c->stream, frame, len) < 0)
            return;
        send_queue_pop(c->waiting);
    }
    if (c->waiting && c->waiting->n == 0)
        waiting_free(c);
}

size_t ws_conn_queued_bytes(const WsConn *c)
{
    return c->stream ? stream_queued(c->stream) + (c->waiting ? c->waiting->bytes : 0) : 0;
}

size_t ws_conn_unsent(const WsConn *c)
{
    return c->stream ? ws_conn_queued_bytes(c) + stream_unsent(c->stream) : 0;
}

static int send_message(WsConn *c, WsOpcode opcode, const void *head, size_t head_len, const void *data, size_t len)
{
    if (c->state != WS_OPEN || c->life.ended)
        return -ENOTCONN;
    if (len > WS_MESSAGE_MAX || head_len > WS_MESSAGE_MAX - len)
        return -EMSGSIZE;
    if (ws_conn_queued_bytes(c) + head_len + len + WS_HEADER_MAX > TUNNEL_QUEUE_BYTES_MAX) {
        c->refused = true;
        return -ENOBUFS;
    }
    bool blocked = c->waiting || stream_queued(c->stream) > 0;
    return (blocked ? hold_back : send_frame)(c, opcode, head, head_len, data, len);
}

int ws_conn_send_text(WsConn *c, const char *text, size_t len)
{
    return utf8_is_valid(text, len) ? send_message(c, WS_TEXT, NULL, 0, text, len) : -EILSEQ;
}

int ws_conn_send_binary(WsConn *c, const uint8_t *data, size_t len)
{
    return send_message(c, WS_BINARY, NULL, 0, data, len);
}

int ws_conn_send_frame(WsConn *c, const uint8_t *head, size_t head_len, const uint8_t *data, size_t len)
{
    return send_message(c, WS_BINARY, head, head_len, data, len);
}

void ws_conn_want_write(WsConn *c, bool want)
{
    if (!c->life.ended && c->state == WS_OPEN)
        stream_want_write(c->stream, want);
}

/* The serial number tells the answer to this ping from one that comes unasked (RFC 6455 §5.5.3). */
static void send_ping(WsConn *c)
{
    c->ping_serial++;
    if (send_control(c, WS_PING, &c->ping_serial, sizeof c->ping_serial) >= 0)
        c->ping_at = boottime_usec();
}

void ws_conn_ping(WsConn *c)
{
    if (!c->life.ended && c->state == WS_OPEN && c->ping_at == 0)
        send_ping(c);
}

static void take_pong(WsConn *c, const WsEvent *event)
{
    if (c->ping_at == 0 || event->len != sizeof c->ping_serial ||
        memcmp(event->data, &c->ping_serial, sizeof c->ping_serial) != 0)
        return;
    c->rtt = boottime_usec() - c->ping_at;
    c->ping_at = 0;
}

usec_t ws_conn_rtt(const WsConn *c)
{
    return c->rtt;
}

static int schedule(WsConn *c);
static void timer_is_over(void *userdata);

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    timer_is_over(userdata);
    return 0;
}

static int arm(WsConn *c, usec_t delay)
{
    if (!c->clock || delay < COARSE_DELAY_MIN) {
        coarse_timer_disarm(&c->coarse);
        return timer_arm(stream_event(c->stream), &c->timer, delay, on_timer, c);
    }
    c->timer = sd_event_source_disable_unref(c->timer);
    return coarse_timer_arm(c->clock, &c->coarse, delay, timer_is_over, c);
}

static void timer_is_over(void *userdata)
{
    WsConn *c = userdata;
    usec_t now = boottime_usec();
    if (c->state != WS_OPEN) {
        error_set(&c->err, ETIMEDOUT, "ws.close-timeout", "%s did not finish the closing handshake within 5 s",
                  stream_peer(c->stream));
        finish(c);
        return;
    }
    if (now - c->last_alive >= c->dead) {
        error_set(&c->err, ETIMEDOUT, "ws.dead", "nothing came from %s for %llu s: the connection is dead",
                  stream_peer(c->stream), (unsigned long long) ((now - c->last_alive) / USEC_PER_SEC));
        finish(c);
        return;
    }
    if (now >= c->next_ping && now - c->last_alive >= c->interval * 4 / 5) {
        send_ping(c);
        c->next_ping = now + c->interval;
    }
    int r = schedule(c);
    if (r < 0) {
        error_from_errno(&c->err, r, "cannot keep the connection with %s alive", stream_peer(c->stream));
        finish(c);
    }
}

/* ±20 %, so that a fleet that came back together does not ping in lockstep. */
static usec_t jittered(usec_t interval)
{
    return interval * 4 / 5 + random_below(interval * 2 / 5 + 1);
}

/* One timer serves pings and death. It is not moved for each frame received: it looks at the clock when it fires. */
static int schedule(WsConn *c)
{
    usec_t now = boottime_usec();
    usec_t ping = c->last_alive + jittered(c->interval);
    usec_t at = c->last_alive + c->dead;
    if (ping < c->next_ping)
        ping = c->next_ping;
    if (ping < at)
        at = ping;
    return arm(c, at > now ? at - now : 1);
}

void ws_conn_set_clock(WsConn *c, CoarseClock *clock)
{
    coarse_clock_unref(c->clock);
    c->clock = coarse_clock_ref(clock);
}

static usec_t idle_ping = WS_PING_IDLE;

void ws_set_idle_ping(usec_t interval)
{
    idle_ping = interval;
}

usec_t ws_idle_ping(void)
{
    return idle_ping;
}

void ws_conn_set_keepalive(WsConn *c, usec_t interval, usec_t dead)
{
    if (c->state != WS_OPEN || interval == 0 || dead == 0)
        return;
    c->interval = interval;
    c->dead = dead;
    c->next_ping = 0;
    /* A shorter limit begins now: silence so far was within the longer one. */
    c->last_alive = boottime_usec();
    if (schedule(c) < 0)
        stream_end(c->stream);
}

void ws_conn_set_busy(WsConn *c, bool busy)
{
    if (c->life.ended || c->state != WS_OPEN)
        return;
    stream_set_bulk(c->stream, busy);
    if (busy)
        ws_conn_set_keepalive(c, idle_ping < WS_PING_BUSY ? idle_ping : WS_PING_BUSY, WS_DEAD_BUSY);
    else
        ws_conn_set_keepalive(c, idle_ping, WS_DEAD_IDLE);
}

static void send_close(WsConn *c, uint16_t code, const char *reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t len = ws_close_payload(code, reason, payload);
    stream_want_write(c->stream, false);
    (void) (c->waiting ? hold_back : send_frame)(c, WS_CLOSE, NULL, 0, payload, len);
    if (arm(c, CLOSE_TIMEOUT) < 0)
        stream_end(c->stream);
}

void ws_conn_close(WsConn *c, uint16_t code, const char *reason)
{
    if (c->state != WS_OPEN || c->life.ended)
        return;
    c->state = WS_CLOSING;
    send_close(c, code, reason);
}

static void leave(WsConn *c)
{
    c->state = WS_LEAVING;
    stream_end(c->stream);
}

/* We refuse what the peer did: say so, and do not wait for its view of it. */
static void refuse(WsConn *c, uint16_t code, const char *reason)
{
    c->close_code = code;
    waiting_free(c);
    if (c->state == WS_OPEN)
        send_close(c, code, reason);
    leave(c);
}

static void peer_closed(WsConn *c, const WsEvent *event)
{
    c->close_code = event->code;
    if (event->len > 0)
        error_set(&c->err, ECONNRESET, "ws.closed", "%s closed the connection with code %u: %.*s",
                  stream_peer(c->stream), event->code, (int) event->len, (const char *) event->data);
    else
        error_set(&c->err, ECONNRESET, "ws.closed", "%s closed the connection with code %u", stream_peer(c->stream),
                  event->code);
    waiting_free(c);
    if (c->state == WS_OPEN)
        send_close(c, event->code, NULL);
    /* The server ends the stream first (RFC 6455 §7.1.1), so that the TIME_WAIT stays with it; a client waits a bit. */
    if (c->masks && c->state == WS_OPEN)
        c->state = WS_LEAVING;
    else
        leave(c);
}

/* While the peer does not take what we send, only its newest ping waits for an answer (RFC 6455 §5.5.3). */
static void answer_ping(WsConn *c, const uint8_t *data, size_t len)
{
    if (c->state != WS_OPEN)
        return;
    if (stream_queued(c->stream) <= CONTROL_ROOM / 2 && send_control(c, WS_PONG, data, len) >= 0)
        return;
    if (!c->pong)
        c->pong = malloc(WS_CONTROL_MAX);
    if (c->pong) {
        memcpy(c->pong, data, len);
        c->pong_len = (uint8_t) len;
    }
}

static void deliver(WsConn *c, const WsEvent *event)
{
    switch (event->opcode) {
    case WS_TEXT:
        if (c->state == WS_OPEN && c->events && c->events->on_text)
            c->events->on_text(c, (const char *) event->data, event->len, c->userdata);
        break;
    case WS_BINARY:
        if (c->state == WS_OPEN && c->events && c->events->on_binary) {
            c->events->on_binary(c, event->data, event->len, c->userdata);
        } else if (c->state == WS_OPEN) {
            error_set(&c->err, EPROTO, "ws.binary", "%s sent a binary message, and nothing here takes one",
                      stream_peer(c->stream));
            refuse(c, WS_CLOSE_UNSUPPORTED, "no binary messages");
        }
        break;
    case WS_PING:
        answer_ping(c, event->data, event->len);
        break;
    case WS_CLOSE:
        peer_closed(c, event);
        break;
    case WS_PONG:
        take_pong(c, event);
        break;
    case WS_CONTINUATION:
        break;
    }
}

void ws_conn_feed(WsConn *c, const uint8_t *data, size_t len)
{
    c->last_alive = boottime_usec();
    lifetime_hold(&c->life);
    for (int r = 1; r > 0 && !c->life.ended && c->state < WS_LEAVING;) {
        WsEvent event = {};
        Error err = {};
        size_t used = 0;
        r = ws_decode(&c->decoder, data, len, &used, &event, &err);
        data += used;
        len -= used;
        if (r > 0) {
            deliver(c, &event);
        } else if (r < 0) {
            uint16_t code = c->decoder.close_code ? c->decoder.close_code : WS_CLOSE_INTERNAL;
            (void) error_copy(&c->err, &err);
            refuse(c, code, error_id(&err));
        }
        error_done(&err);
    }
    if (!c->life.ended && c->state >= WS_LEAVING)
        ws_decoder_done(&c->decoder);
    ws_conn_release(c);
}

static void on_data(Stream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    ws_conn_feed(userdata, data, len);
}

static void on_flushed(Stream *s, void *userdata)
{
    WsConn *c = userdata;
    if (c->state > WS_CLOSING)
        return;
    /* The peer takes what we send: it lives, though it may be too busy with it to answer a ping. */
    c->last_alive = boottime_usec();
    if (c->state == WS_OPEN && c->pong && stream_queued(s) <= CONTROL_ROOM / 2 &&
        send_control(c, WS_PONG, c->pong, c->pong_len) >= 0) {
        free(c->pong);
        c->pong = NULL;
    }
    release_waiting(c);
    if (c->state == WS_OPEN && c->refused && ws_conn_queued_bytes(c) < TUNNEL_QUEUE_BYTES_MAX / 2) {
        c->refused = false;
        if (c->events && c->events->on_drained)
            c->events->on_drained(c, c->userdata);
    }
}

static void on_writable(Stream *s _unused_, void *userdata)
{
    WsConn *c = userdata;
    if (c->state == WS_OPEN && c->events && c->events->on_writable)
        c->events->on_writable(c, c->userdata);
    else
        stream_want_write(c->stream, false);
}

static void on_stream_closed(Stream *s, int r, const Error *err, void *userdata)
{
    WsConn *c = userdata;
    if (c->err.id == NULL) {
        if (r < 0 && err && c->close_code == WS_CLOSE_GONE)
            (void) error_copy(&c->err, err);
        else if (c->close_code == WS_CLOSE_GONE)
            error_set(&c->err, ECONNRESET, "ws.gone", "%s went away without a closing handshake", stream_peer(s));
    }
    finish(c);
}

static const StreamEvents stream_events = {
    .on_data = on_data,
    .on_flushed = on_flushed,
    .on_writable = on_writable,
    .on_closed = on_stream_closed,
};

void ws_conn_set_events(WsConn *c, const WsEvents *events, void *userdata)
{
    c->events = events;
    c->userdata = userdata;
}

void ws_conn_set_message_max(WsConn *c, size_t max)
{
    c->decoder.message_max = max;
}

const char *ws_conn_peer(const WsConn *c)
{
    return c->stream ? stream_peer(c->stream) : "";
}
