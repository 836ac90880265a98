/* SPDX-License-Identifier: MIT */
/* A mux as a whole: its streams, its connections one after the other, its clock. */
#include "lib/mux/mux-impl.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/data/json.h"

/* Ids begin at random places in the lower half, so that those of a peer that restarted do not meet old ones. */
#define FIRST_ID_MAX (UINT32_C(1) << 29)
#define LAST_ID (UINT32_MAX - 2)

int mux_new(const MuxOptions *options, Mux **ret)
{
    Mux *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    m->options = *options;
    uint32_t pair = 1 + (uint32_t) random_below(FIRST_ID_MAX);
    m->next_id = pair * 2 + (options->side == MUX_GATEWAY ? 1 : 0);
    *ret = m;
    return 0;
}

static void stream_destroy(MuxStream *s)
{
    mux_ring_done(&s->ring);
    free(s->open);
    free(s->ended);
    free(s);
}

static void bury(Mux *m)
{
    while (m->gone) {
        MuxStream *s = m->gone;
        m->gone = s->next_gone;
        stream_destroy(s);
    }
}

static void mux_destroy(Mux *m)
{
    bury(m);
    mux_farewells_clear(m);
    free(m);
}

Mux *mux_free(Mux *m)
{
    if (!m || !lifetime_end(&m->life))
        return NULL;
    m->is_attached = false;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        if (m->streams[i])
            mux_stream_remove(m->streams[i], 0, NULL);
    mux_release(m);
    return NULL;
}

void mux_touch(Mux *m, usec_t now)
{
    if (now > m->now)
        m->now = now;
}

void mux_release(Mux *m)
{
    if (lifetime_release(&m->life))
        mux_destroy(m);
    else if (m->life.holds == 0)
        bury(m);
}

void mux_wake(Mux *m)
{
    const MuxEvents *events = m->options.events;
    if (m->is_told || m->life.ended || !events || !events->on_sendable)
        return;
    if (!m->tick_due && !mux_is_sendable(m))
        return;
    m->is_told = true;
    lifetime_hold(&m->life);
    events->on_sendable(m, m->options.userdata);
    mux_release(m);
}

MuxStream *mux_find(const Mux *m, uint32_t id)
{
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        if (m->streams[i] && m->streams[i]->id == id && !m->streams[i]->ended)
            return m->streams[i];
    return NULL;
}

size_t mux_streams(const Mux *m)
{
    size_t n = 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        n += m->streams[i] != NULL;
    return n;
}

bool mux_is_idle(const Mux *m)
{
    return mux_streams(m) == 0 && !m->farewells;
}

int mux_stream_new(Mux *m, uint32_t id, bool is_ours, MuxStream **ret)
{
    unsigned i = 0;
    while (i < MUX_STREAMS_MAX && m->streams[i])
        i++;
    if (i == MUX_STREAMS_MAX)
        return -EMFILE;
    MuxStream *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->mux = m;
    s->id = id;
    s->is_ours = is_ours;
    s->measured_at = m->now;
    mux_window_init(s);
    m->streams[i] = s;
    *ret = s;
    return 0;
}

void mux_stream_remove(MuxStream *s, MuxKind kind, const char *reason)
{
    Mux *m = s->mux;
    if (s->is_gone)
        return;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        if (m->streams[i] == s)
            m->streams[i] = NULL;
    s->is_gone = true;
    s->next_gone = m->gone;
    m->gone = s;
    if (kind == MUX_FRAME_RESET && mux_farewell_reset(m, s->id, reason) < 0)
        m->is_broken = true;
    if (m->life.holds == 0)
        bury(m);
}

void mux_stream_close(MuxStream *s, MuxKind kind, const char *reason)
{
    if (s->is_gone)
        return;
    /* Who was offered it may still hold it: it stays until that is answered. */
    if (!s->is_ours && !s->is_accepted && !s->events) {
        s->ended = strdup(reason ? reason : "stream.lost");
        if (kind == MUX_FRAME_RESET && mux_farewell_reset(s->mux, s->id, reason) < 0)
            s->mux->is_broken = true;
        if (!s->ended)
            s->mux->is_broken = true;
        return;
    }
    mux_stream_remove(s, kind, reason);
    if (s->events && s->events->on_closed)
        s->events->on_closed(s, reason, s->userdata);
}

void mux_settle(Mux *m)
{
    m->tick_due = false;
    for (unsigned i = 0; i < MUX_STREAMS_MAX && !m->life.ended; i++) {
        MuxStream *s = m->streams[i];
        if (s && s->ended && s->events) {
            mux_stream_remove(s, 0, NULL);
            if (s->events->on_closed)
                s->events->on_closed(s, s->ended, s->userdata);
        } else if (s && s->wants_room && s->events && s->events->on_room && mux_stream_room(s) > 0) {
            s->wants_room = false;
            s->events->on_room(s, s->userdata);
        }
    }
}

/* Each is said again on this connection before anything is sent on it. */
static void introduce(MuxStream *s)
{
    s->is_said = s->is_linked = false;
    s->end_reported = s->end_sent = false;
    s->open_due = s->is_ours && !s->is_accepted;
    s->resume_due = s->is_accepted;
    if (s->open_due)
        s->lost_at = 0;
    else if (s->lost_at == 0)
        s->lost_at = s->mux->now + MUX_GRACE;
}

void mux_attach(Mux *m, usec_t now)
{
    mux_touch(m, now);
    m->is_attached = true;
    m->is_told = false;
    m->is_broken = false;
    m->peer_away = false;
    m->away_due = m->away;
    m->peer_id = 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        if (m->streams[i] && !m->streams[i]->ended)
            introduce(m->streams[i]);
    lifetime_hold(&m->life);
    mux_settle(m);
    mux_wake(m);
    mux_release(m);
}

void mux_detach(Mux *m, usec_t now)
{
    mux_touch(m, now);
    m->is_attached = false;
    m->is_told = false;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        MuxStream *s = m->streams[i];
        if (!s)
            continue;
        s->is_linked = false;
        if (s->lost_at == 0)
            s->lost_at = m->now + MUX_GRACE;
    }
}

static usec_t earliest(usec_t a, usec_t b)
{
    return b != 0 && b < a ? b : a;
}

/* When the next thing is due on this stream. */
static usec_t stream_tick(MuxStream *s)
{
    usec_t now = s->mux->now, next = USEC_INFINITY;
    if (s->lost_at == 0 && !s->mux->is_attached)
        s->lost_at = now + MUX_GRACE;
    if (s->lost_at != 0 && now >= s->lost_at) {
        mux_stream_close(s, s->was_said ? MUX_FRAME_RESET : 0, "stream.lost");
        return next;
    }
    if (s->receipt_at != 0 && now >= s->receipt_at) {
        s->credit_due = true;
        s->receipt_at = 0;
    }
    if (s->ring.cap > 0 && now - s->active_at >= MUX_ACTIVE)
        mux_ring_fit(&s->ring);
    else if (s->ring.cap > 0)
        next = s->active_at + MUX_ACTIVE;
    return earliest(earliest(next, s->lost_at), s->receipt_at);
}

usec_t mux_tick(Mux *m, usec_t now)
{
    usec_t next = USEC_INFINITY;
    mux_touch(m, now);
    lifetime_hold(&m->life);
    mux_settle(m);
    for (unsigned i = 0; i < MUX_STREAMS_MAX && !m->life.ended; i++)
        if (m->streams[i] && !m->streams[i]->ended)
            next = earliest(next, stream_tick(m->streams[i]));
    next = earliest(next, mux_farewells_tick(m));
    if (m->tick_due)
        next = m->now;
    if (!mux_is_sendable(m))
        m->is_told = false;
    mux_wake(m);
    if (m->life.ended)
        next = USEC_INFINITY;
    mux_release(m);
    return next;
}

void mux_set_rtt(Mux *m, usec_t rtt)
{
    m->rtt = rtt;
}

void mux_go_away(Mux *m)
{
    if (m->away)
        return;
    m->away = true;
    m->away_due = m->is_attached;
    mux_wake(m);
}

/* What the peer is told of a stream of ours: the caller's members, and token and window. */
static int open_text(MuxStream *s, const cJSON *open)
{
    _cleanup_(cJSON_Deletep) cJSON *object = open ? cJSON_Duplicate(open, true) : cJSON_CreateObject();
    uint8_t random[(MUX_TOKEN_SIZE - 1) / 2];
    random_bytes(random, sizeof random);
    _cleanup_(freep) char *token = hex_encode(random, sizeof random);
    if (!object || !token)
        return -ENOMEM;
    memcpy(s->token, token, MUX_TOKEN_SIZE);
    cJSON_DeleteItemFromObjectCaseSensitive(object, "token");
    cJSON_DeleteItemFromObjectCaseSensitive(object, "window");
    if (json_add_string(object, "token", s->token) < 0 || json_add_int(object, "window", (int) s->window) < 0)
        return -ENOMEM;
    s->open = json_print(object);
    if (!s->open)
        return -ENOMEM;
    return strlen(s->open) > MUX_OPEN_MAX ? -EMSGSIZE : 0;
}

int mux_open(Mux *m, const cJSON *open, const MuxStreamEvents *events, void *userdata, MuxStream **ret)
{
    MuxStream *s;
    if (m->away || m->peer_away || m->life.ended || m->next_id > LAST_ID)
        return -ENOTCONN;
    int r = mux_stream_new(m, m->next_id, true, &s);
    if (r < 0)
        return r;
    r = open_text(s, open);
    if (r < 0) {
        mux_stream_remove(s, 0, NULL);
        return r;
    }
    m->next_id += 2;
    s->limit = s->window;
    s->open_due = m->is_attached;
    mux_stream_set_events(s, events, userdata);
    *ret = s;
    if (!m->is_attached)
        m->tick_due = true;
    mux_wake(m);
    return 0;
}
