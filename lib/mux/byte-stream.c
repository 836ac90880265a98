/* SPDX-License-Identifier: MIT */
/* What a stream's user does with it. */
#include "lib/mux/mux-impl.h"

#include <string.h>

/* mux_stream_reserve() tries to offer this much at once, less in a stream that has little to send. */
#define RESERVE_MIN ((size_t) 4 * 1024)
#define RESERVE_MAX ((size_t) 64 * 1024)

uint64_t mux_stream_tail(const MuxStream *s)
{
    return s->confirmed + s->ring.len;
}

/* What lies in the rings of all streams: a peer that allows much and confirms nothing must not fill our memory. */
static size_t queued(const Mux *m)
{
    size_t sum = 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        sum += m->streams[i] ? m->streams[i]->ring.len : 0;
    return sum;
}

size_t mux_stream_room(const MuxStream *s)
{
    const MuxOptions *o = &s->mux->options;
    if (s->is_finished || s->is_gone || s->ended)
        return 0;
    uint64_t allowed = s->peer_limit > s->confirmed ? s->peer_limit - s->confirmed : 0;
    size_t max = allowed < o->window_max ? (size_t) allowed : o->window_max;
    size_t sum = queued(s->mux) - s->ring.len;
    size_t left = sum < o->session_max ? o->session_max - sum : 0;
    max = (max < left ? max : left) + MUX_QUEUE_AHEAD;
    return max > s->ring.len ? max - s->ring.len : 0;
}

/* What the bursts of other streams have left goes before this one grows beyond what all may have. */
static void make_room(const MuxStream *s, size_t want)
{
    const Mux *m = s->mux;
    size_t sum = s->ring.len + want;
    if (s->ring.cap - s->ring.len >= want)
        return;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        sum += m->streams[i] && m->streams[i] != s ? m->streams[i]->ring.cap : 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX && sum > m->options.session_max; i++)
        if (m->streams[i] && m->streams[i] != s)
            mux_ring_fit(&m->streams[i]->ring);
}

static uint8_t *reserve(MuxStream *s, size_t want, size_t *ret_len)
{
    size_t cap_max = s->mux->options.window_max + MUX_QUEUE_AHEAD;
    make_room(s, want);
    return mux_ring_reserve(&s->ring, want, mux_stream_room(s), cap_max, ret_len);
}

size_t mux_stream_write(MuxStream *s, const void *data, size_t len)
{
    const uint8_t *from = data;
    size_t done = 0;
    while (done < len) {
        size_t n;
        uint8_t *to = reserve(s, len - done, &n);
        if (!to)
            break;
        if (n > len - done)
            n = len - done;
        memcpy(to, from + done, n);
        mux_ring_commit(&s->ring, n);
        done += n;
    }
    s->wants_room |= done < len;
    if (done > 0)
        s->active_at = s->mux->now;
    mux_wake(s->mux);
    return done;
}

uint8_t *mux_stream_reserve(MuxStream *s, size_t *ret_len)
{
    size_t want = s->ring.cap < RESERVE_MIN ? RESERVE_MIN : s->ring.cap > RESERVE_MAX ? RESERVE_MAX : s->ring.cap;
    uint8_t *to = reserve(s, want, ret_len);
    s->wants_room |= to == NULL;
    return to;
}

void mux_stream_commit(MuxStream *s, size_t len)
{
    mux_ring_commit(&s->ring, len);
    if (len > 0)
        s->active_at = s->mux->now;
    else if (s->ring.len == 0)
        mux_ring_done(&s->ring);
    mux_wake(s->mux);
}

void mux_stream_consumed(MuxStream *s, size_t len)
{
    uint64_t open = s->received - s->consumed;
    s->consumed += len < open ? len : open;
    if (mux_credit_is_due(s))
        mux_wake(s->mux);
}

size_t mux_stream_waiting(const MuxStream *s)
{
    uint64_t tail = mux_stream_tail(s);

    return tail > s->next ? (size_t) (tail - s->next) : 0;
}

void mux_stream_set_low(MuxStream *s)
{
    s->is_low = true;
}

void mux_stream_finish(MuxStream *s)
{
    s->is_finished = true;
    mux_wake(s->mux);
}

void mux_stream_reset(MuxStream *s, const char *reason)
{
    Mux *m = s->mux;
    if (s->is_gone)
        return;
    mux_stream_remove(s, s->was_said && !s->ended ? MUX_FRAME_RESET : 0, reason);
    mux_wake(m);
}

void mux_stream_set_events(MuxStream *s, const MuxStreamEvents *events, void *userdata)
{
    s->events = events;
    s->userdata = userdata;
    if (s->ended) {
        s->mux->tick_due = true;
        mux_wake(s->mux);
    }
}

void mux_stream_accept(MuxStream *s, const MuxStreamEvents *events, void *userdata)
{
    Mux *m = s->mux;
    bool is_answer = !s->ended && !s->is_accepted;
    mux_stream_set_events(s, events, userdata);
    if (!is_answer)
        return;
    s->is_accepted = true;
    if (s->is_linked)
        s->credit_due = true;
    else
        s->resume_due = m->is_attached;
    mux_wake(m);
}

Mux *mux_stream_mux(const MuxStream *s)
{
    return s->mux;
}

uint64_t mux_stream_sent(const MuxStream *s)
{
    return s->confirmed;
}

uint64_t mux_stream_received(const MuxStream *s)
{
    return s->received;
}
