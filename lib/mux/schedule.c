/* SPDX-License-Identifier: MIT */
/* Which frame goes next: control frames, then streams that somebody types into, then bulk in turn, then low streams. */
#include "lib/mux/mux-impl.h"

#include <stdio.h>
#include <string.h>

/* So much may small streams send past bulk that waits, before that gets a turn. */
#define SMALL_BUDGET ((size_t) 64 * 1024)

static bool can_send(const MuxStream *s)
{
    return s->is_linked && s->is_accepted && !s->ended;
}

size_t mux_stream_sendable(const MuxStream *s)
{
    uint64_t tail = mux_stream_tail(s);
    uint64_t end = tail < s->peer_limit ? tail : s->peer_limit;
    return can_send(s) && end > s->next ? (size_t) (end - s->next) : 0;
}

static bool mux_half_close_is_due(const MuxStream *s)
{
    return s->is_finished && !s->end_sent && can_send(s) && s->next == mux_stream_tail(s);
}

static bool is_small(const MuxStream *s)
{
    return mux_half_close_is_due(s) ||
           (!s->is_low && mux_stream_sendable(s) > 0 && mux_stream_tail(s) - s->next <= MUX_SMALL_BACKLOG);
}

static bool is_bulk(const MuxStream *s)
{
    return !s->is_low && mux_stream_sendable(s) > 0 && mux_stream_tail(s) - s->next > MUX_SMALL_BACKLOG;
}

bool mux_is_sendable(const Mux *m)
{
    if (!m->is_attached)
        return false;
    if (m->away_due || mux_farewell_next(m))
        return true;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        const MuxStream *s = m->streams[i];
        if (s && (s->open_due || s->resume_due || mux_credit_is_due(s) || mux_stream_sendable(s) > 0 ||
                  mux_half_close_is_due(s)))
            return true;
    }
    return false;
}

static void pull_open(MuxStream *s, MuxFrame *f)
{
    *f = (MuxFrame) { .kind = MUX_FRAME_OPEN, .stream = s->id, .data = (uint8_t *) s->open, .len = strlen(s->open) };
    s->open_due = false;
    s->is_said = s->was_said = true;
}

static void told_received(MuxStream *s)
{
    s->credit_due = false;
    s->receipt_at = 0;
    s->end_reported = s->in_ended;
}

static void pull_resume(MuxStream *s, MuxFrame *f)
{
    Mux *m = s->mux;
    mux_window_raise(s);
    int len = snprintf((char *) m->scratch, sizeof m->scratch, "{\"token\":\"%s\",\"ended\":%s,\"limit\":\"%llu\"}",
                       s->token, s->in_ended ? "true" : "false", (unsigned long long) s->limit);
    *f = (MuxFrame) {
        .kind = MUX_FRAME_RESUME, .stream = s->id, .position = s->received, .data = m->scratch, .len = (size_t) len
    };
    s->resume_due = false;
    s->is_said = s->was_said = true;
    told_received(s);
}

static void pull_credit(MuxStream *s, MuxFrame *f)
{
    Mux *m = s->mux;
    mux_window_raise(s);
    mux_put_u64(m->scratch, s->received);
    *f = (MuxFrame) { .kind = MUX_FRAME_CREDIT,
                      .flags = s->in_ended ? MUX_FLAG_ENDED : 0,
                      .stream = s->id,
                      .position = s->limit,
                      .data = m->scratch,
                      .len = 8 };
    s->is_said = true;
    told_received(s);
}

static void pull_farewell(Mux *m, MuxFarewell *last, MuxFrame *f)
{
    memcpy(m->scratch, last->data, last->len);
    *f = (MuxFrame) { .kind = last->kind,
                      .flags = last->kind == MUX_FRAME_CREDIT ? MUX_FLAG_ENDED : 0,
                      .stream = last->stream,
                      .position = last->position,
                      .data = m->scratch,
                      .len = last->len };
    mux_farewell_sent(m, last);
}

/* The stream whose open goes first: ids ascend on a connection. */
static MuxStream *next_open(const Mux *m)
{
    MuxStream *first = NULL;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        MuxStream *s = m->streams[i];
        if (s && s->open_due && (!first || s->id < first->id))
            first = s;
    }
    return first;
}

static bool pull_control(Mux *m, MuxFrame *f)
{
    MuxFarewell *last = mux_farewell_next(m);
    MuxStream *s = next_open(m);
    if (m->away_due) {
        m->away_due = false;
        *f = (MuxFrame) { .kind = MUX_FRAME_GO_AWAY };
        return true;
    }
    if (last) {
        pull_farewell(m, last, f);
        return true;
    }
    if (s) {
        pull_open(s, f);
        return true;
    }
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        s = m->streams[i];
        if (s && s->resume_due) {
            pull_resume(s, f);
            return true;
        }
        if (s && mux_credit_is_due(s)) {
            pull_credit(s, f);
            return true;
        }
    }
    return false;
}

/* Small frames keep a shell quick beside a copy; a copy alone is cheaper in large ones. */
static size_t frame_max(const Mux *m)
{
    unsigned active = 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        const MuxStream *s = m->streams[i];
        active += s && s->active_at != 0 && m->now - s->active_at <= MUX_ACTIVE;
    }
    return active > 1 ? MUX_FRAME_DATA_SHARED : MUX_FRAME_DATA_ALONE;
}

static size_t frame_size(const MuxStream *s, size_t max)
{
    size_t sendable = mux_stream_sendable(s), together;
    if (sendable == 0)
        return 0;
    (void) mux_ring_peek(&s->ring, (size_t) (s->next - s->confirmed), &together);
    size_t len = sendable < together ? sendable : together;
    return len < max ? len : max;
}

/* Deficit round robin. A turn pays one frame, and what the ring's end cut off is made up for. */
static MuxStream *next_bulk(Mux *m, size_t max)
{
    for (unsigned tries = 0; tries < 2 * MUX_STREAMS_MAX; tries++) {
        MuxStream *s = m->streams[m->turn];
        if (s && is_bulk(s)) {
            size_t len = frame_size(s, max);
            if (s->deficit < len && !m->turn_paid) {
                s->deficit += max;
                m->turn_paid = true;
            }
            if (s->deficit >= len) {
                s->deficit -= len;
                return s;
            }
        } else if (s) {
            s->deficit = 0;
        }
        m->turn = (m->turn + 1) % MUX_STREAMS_MAX;
        m->turn_paid = false;
    }
    return NULL;
}

static bool is_low(const MuxStream *s)
{
    return s->is_low && mux_stream_sendable(s) > 0;
}

/* One frame for each in turn. */
static MuxStream *next_of(const Mux *m, unsigned *turn, bool (*is_one)(const MuxStream *s))
{
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        unsigned at = (*turn + i) % MUX_STREAMS_MAX;
        if (m->streams[at] && is_one(m->streams[at])) {
            *turn = (at + 1) % MUX_STREAMS_MAX;
            return m->streams[at];
        }
    }
    return NULL;
}

static MuxStream *next_small(Mux *m)
{
    return next_of(m, &m->small_turn, is_small);
}

static void pull_data(MuxStream *s, size_t max, MuxFrame *f)
{
    size_t len = frame_size(s, max), together;
    if (len == 0) {
        *f = (MuxFrame) { .kind = MUX_FRAME_HALF_CLOSE, .stream = s->id, .position = s->next };
        s->end_sent = s->end_was_sent = true;
        return;
    }
    *f = (MuxFrame) { .kind = MUX_FRAME_DATA,
                      .stream = s->id,
                      .position = s->next,
                      .len = len,
                      .data = mux_ring_peek(&s->ring, (size_t) (s->next - s->confirmed), &together) };
    s->next += len;
    if (s->next > s->sent_max)
        s->sent_max = s->next;
    s->active_at = s->mux->now;
}

static bool pull_stream(Mux *m, MuxFrame *f)
{
    size_t max = frame_max(m);
    MuxStream *small = m->small_bytes < SMALL_BUDGET ? next_small(m) : NULL;
    MuxStream *s = small ? small : next_bulk(m, max);
    if (!small)
        m->small_bytes = 0;
    if (!s)
        s = small = next_small(m);
    if (!s) {
        s = next_of(m, &m->low_turn, is_low);
        max = MUX_FRAME_DATA_SHARED;
    }
    if (!s)
        return false;
    pull_data(s, max, f);
    if (small)
        m->small_bytes += f->len + MUX_HEADER_SIZE;
    return true;
}

int mux_pull(Mux *m, usec_t now, uint8_t header[static MUX_HEADER_SIZE], const uint8_t **ret_data, size_t *ret_len)
{
    MuxFrame f = {};
    mux_touch(m, now);
    if (!m->is_attached || (!pull_control(m, &f) && !pull_stream(m, &f))) {
        m->is_told = false;
        return 0;
    }
    mux_frame_encode(&f, header);
    *ret_data = f.data;
    *ret_len = f.len;
    return 1;
}
