/* SPDX-License-Identifier: MIT */
/* One mux between a user who plays by the rules and a peer who does not: the input says in turn what either of them does.
 * Whatever comes, what is kept stays within its bounds, and what is sent are frames. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/mux/mux-impl.h"

#define WINDOW 32768
#define WINDOW_MAX 131072
#define SESSION 524288

typedef struct Input {
    const uint8_t *data;
    size_t len;
} Input;

typedef struct Run {
    Input in;
    Mux *mux;
    usec_t now;
    uint32_t peer_id;
} Run;

#define check(holds) ((holds) ? (void) 0 : broken(#holds, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "line %d: not true: %s\n", line, what);
    abort();
}

static uint8_t byte(Input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

static uint16_t word(Input *in)
{
    uint16_t high = byte(in);
    return (uint16_t) (high << 8 | byte(in));
}

/* Near `base` mostly, and sometimes where the numbers end. */
static uint64_t near(Input *in, uint64_t base)
{
    uint8_t how = byte(in);
    if (how < 128)
        return base + how;
    if (how < 192)
        return base - (how - 128U);
    if (how < 250)
        return base + word(in);
    return UINT64_MAX - (255U - how);
}

static MuxStream *any(Run *r)
{
    return r->mux->streams[byte(&r->in) % MUX_STREAMS_MAX];
}

static void on_data(MuxStream *s, const uint8_t *data, size_t len, void *userdata)
{
    Run *r = userdata;
    check(len > 0 && len <= MUX_FRAME_DATA_MAX);
    check(s->received - s->consumed <= WINDOW_MAX);
    volatile uint8_t last = data[len - 1];
    (void) last;
    uint8_t what = byte(&r->in);
    if (what == 255)
        mux_stream_reset(s, "fuzz.reset");
    else if (what == 254 && any(r))
        mux_stream_reset(s, "fuzz.other");
    else if (what < 128)
        mux_stream_consumed(s, len);
}

static void on_some(MuxStream *s, void *userdata)
{
    Run *r = userdata;
    uint8_t what = byte(&r->in);
    if (what == 255)
        mux_stream_reset(s, "fuzz.reset");
    else if (what > 200)
        mux_stream_finish(s);
}

static void on_closed(MuxStream *s, const char *reason, void *userdata)
{
    Run *r = userdata;
    check(s->is_gone);
    check(reason ? strlen(reason) <= MUX_REASON_MAX : s->in_ended && s->end_confirmed);
    MuxStream *another = any(r);
    if (another && byte(&r->in) == 255)
        mux_stream_reset(another, reason);
}

static const MuxStreamEvents stream_events = {
    .on_accepted = on_some,
    .on_data = on_data,
    .on_room = on_some,
    .on_end = on_some,
    .on_closed = on_closed,
};

static void on_open(Mux *m, MuxStream *s, const cJSON *open, void *userdata)
{
    Run *r = userdata;
    check(mux_stream_mux(s) == m && cJSON_IsObject(open));
    uint8_t what = byte(&r->in);
    if (what < 100)
        mux_stream_accept(s, &stream_events, r);
    else if (what < 150)
        mux_stream_set_events(s, &stream_events, r);
    else if (what > 250)
        mux_stream_reset(s, "fuzz.refused");
}

static const MuxEvents mux_events = { .on_open = on_open };

static void check_bounds(const Mux *m)
{
    size_t granted = 0, queued = 0, farewells = 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        const MuxStream *s = m->streams[i];
        if (!s)
            continue;
        check(s->consumed <= s->received && s->received <= s->limit);
        check(s->confirmed <= s->next && s->next <= mux_stream_tail(s) && s->next <= s->sent_max);
        check(s->sent_max <= s->peer_limit && s->ring.len <= s->ring.cap);
        check(s->ring.cap <= WINDOW_MAX + MUX_QUEUE_AHEAD && s->window <= WINDOW_MAX);
        granted += (size_t) ((s->in_ended ? s->received : s->limit) - s->consumed);
        queued += s->ring.len;
    }
    for (const MuxFarewell *f = m->farewells; f; f = f->next)
        farewells++;
    check(granted <= SESSION);
    check(queued <= SESSION + MUX_STREAMS_MAX * MUX_QUEUE_AHEAD);
    check(farewells <= MUX_FAREWELLS_MAX + MUX_FAREWELLS_KEPT + 2 * MUX_STREAMS_MAX);
    check(!m->gone && m->life.holds == 0);
}

/* What is pulled is what a peer accepts. */
static void pull(Run *r, unsigned n)
{
    uint8_t frame[MUX_HEADER_SIZE + MUX_FRAME_DATA_MAX];
    const uint8_t *data;
    size_t len;
    MuxFrame f;
    while (n-- > 0) {
        bool is_sendable = mux_is_sendable(r->mux);
        check(mux_pull(r->mux, r->now, frame, &data, &len) == is_sendable);
        if (!is_sendable)
            return;
        check(len <= MUX_FRAME_DATA_MAX);
        if (len > 0)
            memcpy(frame + MUX_HEADER_SIZE, data, len);
        check(mux_frame_decode(frame, MUX_HEADER_SIZE + len, &f, NULL) == 0);
    }
}

/* A connection that breaks the protocol is closed, and another one made. */
static void feed(Run *r, const MuxFrame *f)
{
    uint8_t *frame = malloc(MUX_HEADER_SIZE + f->len);
    Error err = {};
    check(frame != NULL);
    mux_frame_encode(f, frame);
    if (f->len > 0)
        memcpy(frame + MUX_HEADER_SIZE, f->data, f->len);
    if (mux_feed(r->mux, frame, MUX_HEADER_SIZE + f->len, r->now, &err) < 0) {
        check(err.id != NULL);
        mux_detach(r->mux, r->now);
        mux_attach(r->mux, r->now);
    }
    error_done(&err);
    free(frame);
}

static void feed_raw(Run *r)
{
    size_t len = byte(&r->in);
    if (len > r->in.len)
        len = r->in.len;
    uint8_t *frame = malloc(len + 1);
    Error err = {};
    check(frame != NULL);
    memcpy(frame + 1, r->in.data, len);
    r->in.data += len;
    r->in.len -= len;
    if (mux_feed(r->mux, frame + 1, len, r->now, &err) < 0) {
        mux_detach(r->mux, r->now);
        mux_attach(r->mux, r->now);
    }
    error_done(&err);
    free(frame);
}

static void feed_open(Run *r)
{
    char text[128];
    uint8_t how = byte(&r->in);
    MuxStream *s = any(r);
    const char *token = s && how > 200 ? s->token : "0123456789abcdef0123456789abcdef";
    uint32_t id = s && how > 128 ? s->id : (r->peer_id += 2);
    int len =
        snprintf(text, sizeof text, "{\"token\":\"%s\",\"window\":%llu}", token, (unsigned long long) near(&r->in, 0));
    feed(r, &(MuxFrame) { .kind = MUX_FRAME_OPEN, .stream = id, .data = (uint8_t *) text, .len = (size_t) len });
}

static void feed_resume(Run *r, const MuxStream *s)
{
    char text[160];
    uint64_t received = near(&r->in, byte(&r->in) & 1 ? s->confirmed : s->sent_max);
    uint8_t how = byte(&r->in);
    int len = snprintf(text, sizeof text, "{\"token\":\"%s%s\",\"ended\":%s,\"limit\":\"%llu\"}", s->token,
                       how > 250 ? "0" : "", how & 1 ? "true" : "false", (unsigned long long) near(&r->in, received));
    feed(r, &(MuxFrame) { .kind = MUX_FRAME_RESUME,
                          .stream = s->id,
                          .position = received,
                          .data = (uint8_t *) text,
                          .len = (size_t) len });
}

static void feed_about(Run *r, const MuxStream *s, uint8_t what)
{
    static const uint8_t zeros[MUX_FRAME_DATA_MAX];
    uint8_t received[8];
    MuxFrame f = { .stream = s->id, .data = zeros };
    switch (what % 5) {
    case 0:
        f.kind = MUX_FRAME_DATA;
        f.position = near(&r->in, s->received);
        f.len = 1 + word(&r->in) % MUX_FRAME_DATA_MAX;
        break;
    case 1:
        f.kind = MUX_FRAME_CREDIT;
        f.flags = byte(&r->in) > 200 ? MUX_FLAG_ENDED : 0;
        mux_put_u64(received, near(&r->in, byte(&r->in) & 1 ? s->confirmed : s->next));
        f.position = near(&r->in, mux_get_u64(received));
        f.data = received;
        f.len = 8;
        break;
    case 2:
        f.kind = MUX_FRAME_HALF_CLOSE;
        f.position = byte(&r->in) < 200 ? s->received : near(&r->in, s->received);
        break;
    case 3:
        f.kind = MUX_FRAME_RESET;
        f.data = (const uint8_t *) "fuzz.peer";
        f.len = 9;
        break;
    case 4:
        feed_resume(r, s);
        return;
    }
    feed(r, &f);
}

static void use(Run *r, MuxStream *s, uint8_t what)
{
    static const uint8_t zeros[65536];
    size_t len;
    switch (what % 6) {
    case 0:
        if (!s->is_ours && !s->is_accepted)
            mux_stream_accept(s, &stream_events, r);
        break;
    case 1:
        (void) mux_stream_write(s, zeros, word(&r->in));
        break;
    case 2: {
        uint8_t *to = mux_stream_reserve(s, &len);
        check((to != NULL) == (len > 0));
        if (to)
            memset(to, 1, len);
        mux_stream_commit(s, len < word(&r->in) ? len : 1);
        break;
    }
    case 3:
        mux_stream_consumed(s, word(&r->in));
        break;
    case 4:
        if (byte(&r->in) > 200)
            mux_stream_finish(s);
        break;
    case 5:
        if (byte(&r->in) > 200)
            mux_stream_reset(s, "fuzz.local");
        break;
    }
}

static void act(Run *r)
{
    uint8_t what = byte(&r->in);
    MuxStream *s = any(r), *opened;
    if (what < 80 && s) {
        feed_about(r, s, what);
    } else if (what < 140 && s) {
        use(r, s, what);
    } else if (what < 160) {
        feed_open(r);
    } else if (what < 170) {
        (void) !mux_open(r->mux, NULL, &stream_events, r, &opened);
    } else if (what < 220) {
        pull(r, what - 169);
    } else if (what < 230) {
        feed_raw(r);
    } else if (what < 240) {
        r->now += (usec_t) word(&r->in) * (what < 238 ? USEC_PER_MSEC : USEC_PER_SEC);
        check(mux_tick(r->mux, r->now) >= r->now);
    } else if (what < 245) {
        mux_detach(r->mux, r->now);
    } else if (what < 254) {
        mux_attach(r->mux, r->now);
    } else if (byte(&r->in) > 250) {
        mux_go_away(r->mux);
    }
    check_bounds(r->mux);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Run r = { .in = { data, size }, .now = USEC_PER_SEC };
    MuxSide side = byte(&r.in) & 1 ? MUX_GATEWAY : MUX_CLIENT;
    MuxOptions o = { .side = side,
                     .window_initial = WINDOW,
                     .window_max = WINDOW_MAX,
                     .session_max = SESSION,
                     .events = &mux_events,
                     .userdata = &r };
    if (mux_new(&o, &r.mux) < 0)
        abort();
    r.peer_id = side == MUX_GATEWAY ? 0 : 1;
    mux_set_rtt(r.mux, 10 * USEC_PER_MSEC);
    mux_attach(r.mux, r.now);
    while (r.in.len > 0)
        act(&r);
    mux_free(r.mux);
    return 0;
}
