/* SPDX-License-Identifier: MIT */
/* The clock, the socket and the round trip of a Mux. */
#include <errno.h>

#include "lib/base/lifetime.h"
#include "lib/base/limits.h"
#include "lib/event/daemon.h"
#include "lib/mux/carrier.h"

/* Frames for one wake-up of a socket that takes them all, so that other connections get their turn. */
#define FRAMES_PER_ROUND 8
/* A socket is said to be writable again below half of TCP_NOTSENT_LOWAT, and one write may go far above it: it would be what a
 * shell waits behind. */
#define UNSENT_ENOUGH ((size_t) MUX_NOTSENT_LOWAT / 2)
/* Bulk keeps the connection from falling silent, so the keepalive alone would never measure a round trip. */
#define RTT_INTERVAL (10 * USEC_PER_SEC)

struct MuxCarrier {
    sd_event *event;
    sd_event_source *timer;
    Mux *mux;
    WsConn *ws; /* borrowed; NULL = detached */
    MuxCarrierOptions options;
    usec_t armed;     /* when the timer fires; USEC_INFINITY = not */
    usec_t next_ping; /* while busy */
    bool busy;        /* as the present connection was told */
    Lifetime life;    /* held while callbacks of streams may run */
};

static void follow(MuxCarrier *c);
static void arm(MuxCarrier *c, usec_t at);

static void on_open(Mux *m, MuxStream *s, const cJSON *open, void *userdata)
{
    MuxCarrier *c = userdata;
    c->options.on_open(m, s, open, c->options.userdata);
}

static void on_sendable(Mux *m _unused_, void *userdata)
{
    MuxCarrier *c = userdata;
    if (c->ws)
        ws_conn_want_write(c->ws, true); /* mux_tick() is called behind it */
    else
        arm(c, boottime_usec());
}

static const MuxEvents events = { .on_open = on_open, .on_sendable = on_sendable };
static const MuxEvents events_refusing = { .on_sendable = on_sendable };

int mux_carrier_new(sd_event *event, const MuxCarrierOptions *options, MuxCarrier **ret)
{
    _cleanup_(mux_carrier_freep) MuxCarrier *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->event = sd_event_ref(event);
    c->options = *options;
    c->armed = USEC_INFINITY;
    MuxOptions mux = {
        .side = options->side,
        .window_initial = MUX_WINDOW_INITIAL,
        .window_max = MUX_WINDOW_MAX,
        .session_max = options->session_max,
        .events = options->on_open ? &events : &events_refusing,
        .userdata = c,
    };
    int r = mux_new(&mux, &c->mux);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

static void carrier_destroy(MuxCarrier *c)
{
    sd_event_unref(c->event);
    free(c);
}

MuxCarrier *mux_carrier_free(MuxCarrier *c)
{
    if (!c || !lifetime_end(&c->life))
        return NULL;
    c->ws = NULL;
    c->timer = sd_event_source_disable_unref(c->timer);
    c->mux = mux_free(c->mux);
    if (lifetime_release(&c->life))
        carrier_destroy(c);
    return NULL;
}

/* Goes on where nothing of a stream runs any more; c may be gone behind it. */
static void carrier_release(MuxCarrier *c)
{
    if (lifetime_release(&c->life))
        carrier_destroy(c);
    else if (c->life.holds == 0)
        follow(c);
}

Mux *mux_carrier_mux(MuxCarrier *c)
{
    return c->mux;
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    MuxCarrier *c = userdata;
    c->armed = USEC_INFINITY;
    if (!c->ws && mux_is_idle(c->mux)) {
        if (c->options.on_idle)
            c->options.on_idle(c, c->options.userdata);
        return 0;
    }
    if (c->ws && c->busy && boottime_usec() >= c->next_ping) {
        ws_conn_ping(c->ws);
        c->next_ping = boottime_usec() + RTT_INTERVAL;
    }
    lifetime_hold(&c->life);
    carrier_release(c);
    return 0;
}

/* A timer that fires early does no harm, so it is only ever moved forward. */
static void arm(MuxCarrier *c, usec_t at)
{
    if (at >= c->armed)
        return;
    usec_t now = boottime_usec();
    if (timer_arm(c->event, &c->timer, at > now ? at - now : 0, on_timer, c) >= 0)
        c->armed = at;
}

/* Streams come and go: the connection is watched accordingly. */
static void watch(MuxCarrier *c)
{
    bool busy = mux_streams(c->mux) > 0;
    if (busy != c->busy) {
        c->busy = busy;
        ws_conn_set_busy(c->ws, busy);
        if (busy) {
            ws_conn_ping(c->ws);
            c->next_ping = boottime_usec() + RTT_INTERVAL;
        }
    }
    usec_t rtt = ws_conn_rtt(c->ws);
    if (rtt > 0)
        mux_set_rtt(c->mux, rtt);
    if (busy)
        arm(c, c->next_ping);
}

/* After whatever happened: does what has become due, and sees to it that the rest is done in time. */
static void follow(MuxCarrier *c)
{
    lifetime_hold(&c->life);
    usec_t next = mux_tick(c->mux, boottime_usec());
    bool gone = c->life.ended;
    if (lifetime_release(&c->life))
        carrier_destroy(c);
    if (gone)
        return;
    if (c->ws)
        watch(c);
    else if (mux_is_idle(c->mux))
        next = 0; /* idle, which is told from the loop */
    arm(c, next);
}

void mux_carrier_attach(MuxCarrier *c, WsConn *ws)
{
    c->ws = ws;
    c->busy = false;
    lifetime_hold(&c->life);
    mux_attach(c->mux, boottime_usec());
    if (c->ws && mux_is_sendable(c->mux))
        ws_conn_want_write(c->ws, true);
    carrier_release(c);
}

void mux_carrier_detach(MuxCarrier *c)
{
    if (!c->ws)
        return;
    ws_conn_want_write(c->ws, false);
    c->ws = NULL;
    mux_detach(c->mux, boottime_usec());
    /* Not from here, since the owner is about to do something itself. */
    arm(c, 0);
}

void mux_carrier_on_binary(MuxCarrier *c, const uint8_t *data, size_t len)
{
    _cleanup_(error_done) Error err = {};
    if (!c->ws)
        return;
    lifetime_hold(&c->life);
    if (mux_feed(c->mux, data, len, boottime_usec(), &err) < 0 && c->ws)
        ws_conn_close(c->ws, WS_CLOSE_PROTOCOL, error_id(&err));
    carrier_release(c);
}

void mux_carrier_on_writable(MuxCarrier *c)
{
    for (unsigned i = 0; c->ws && i < FRAMES_PER_ROUND && ws_conn_unsent(c->ws) < UNSENT_ENOUGH; i++) {
        uint8_t header[MUX_HEADER_SIZE];
        const uint8_t *data = NULL;
        size_t len = 0;
        if (mux_pull(c->mux, boottime_usec(), header, &data, &len) == 0) {
            ws_conn_want_write(c->ws, false);
            break;
        }
        /* A frame that was pulled counts as sent: what a connection does not take, only the next one can make up for. */
        if (ws_conn_send_frame(c->ws, header, sizeof header, data, len) < 0) {
            ws_conn_close(c->ws, WS_CLOSE_INTERNAL, "a frame was lost");
            break;
        }
    }
    lifetime_hold(&c->life);
    carrier_release(c);
}
