/* SPDX-License-Identifier: MIT */
/* What the peer sends. A frame that concerns one stream can at most end that stream. */
#include "lib/mux/mux-impl.h"

#include <errno.h>
#include <string.h>

#include "lib/data/json.h"

/* A limit this far ahead of what was received cannot be a window. */
#define CREDIT_MAX (UINT64_C(1) << 32)

/* The stream is over for what the peer did with it. */
static void refuse(MuxStream *s, const char *reason)
{
    mux_stream_close(s, MUX_FRAME_RESET, reason);
}

/* The same for a stream that never was. */
static int refuse_id(Mux *m, uint32_t id, const char *reason, Error *err)
{
    if (mux_farewells_full(m))
        return error_set(err, EPROTO, "mux.protocol", "the peer asks for stream after stream and takes no answer");
    return error_from_errno(err, mux_farewell_reset(m, id, reason), "cannot refuse a stream");
}

/* Of a stream that is not known: what we said last about it, or that it is unknown. */
static int answer_unknown(Mux *m, uint32_t id, Error *err)
{
    MuxFarewell *f = mux_farewell_find(m, id);
    if (!f)
        return refuse_id(m, id, "stream.unknown", err);
    f->is_sent = false;
    return 0;
}

static void finish_if_done(MuxStream *s)
{
    if (!s->in_ended || !s->end_confirmed)
        return;
    if (mux_farewell_end(s) < 0)
        s->mux->is_broken = true;
    mux_stream_close(s, 0, NULL);
}

/* The peer has so much of what we sent. False: it cannot. */
static bool confirm(MuxStream *s, uint64_t received, bool ended)
{
    if (received > s->sent_max || (ended && (!s->end_was_sent || received != mux_stream_tail(s))))
        return false;
    if (received > s->confirmed) {
        mux_ring_drop(&s->ring, (size_t) (received - s->confirmed));
        s->confirmed = received;
    }
    if (s->next < s->confirmed)
        s->next = s->confirmed;
    s->end_confirmed |= ended;
    return true;
}

static bool is_limit(uint64_t limit, uint64_t received)
{
    return limit >= received && limit - received <= CREDIT_MAX;
}

static void raise_limit(MuxStream *s, uint64_t limit)
{
    if (limit > s->peer_limit)
        s->peer_limit = limit;
}

static void link_stream(MuxStream *s)
{
    bool is_answer = s->is_ours && !s->is_accepted;
    s->is_linked = true;
    s->lost_at = 0;
    if (!is_answer)
        return;
    s->is_accepted = true;
    /* It was accepted on an earlier connection, and what we say on this one has to say so, too. */
    if (s->open_due)
        s->resume_due = true;
    s->open_due = false;
    free(TAKE_PTR(s->open));
    if (s->events && s->events->on_accepted)
        s->events->on_accepted(s, s->userdata);
}

/* {token, window, …}: the text of a stream that the peer wants. */
static int parse_open(const MuxFrame *f, cJSON **ret, const char **ret_token, uint64_t *ret_window)
{
    _cleanup_(cJSON_Deletep) cJSON *open = NULL;
    int r = json_parse_object((const char *) f->data, f->len, &open, NULL);
    if (r < 0)
        return r;
    const char *token = json_string(open, "token");
    if (!token || strlen(token) != MUX_TOKEN_SIZE - 1 || strspn(token, "0123456789abcdef") != MUX_TOKEN_SIZE - 1)
        return -EINVAL;
    if (json_u64(open, "window", ret_window) < 0 || *ret_window > CREDIT_MAX)
        return -EINVAL;
    *ret_token = token;
    *ret = TAKE_PTR(open);
    return 0;
}

/* Again, after a reconnect: it has heard of no acceptance, so it has nothing from us. */
static void reopened(MuxStream *s, const char *token, uint64_t window)
{
    if (strcmp(s->token, token) != 0 || s->is_ours) {
        refuse(s, "stream.unknown");
    } else if (!s->is_linked && (s->confirmed > 0 || s->received > 0 || s->in_ended)) {
        refuse(s, "stream.gap");
    } else if (!s->is_linked) {
        s->next = 0;
        s->end_sent = false;
        raise_limit(s, window);
        link_stream(s);
    }
}

static void offer(MuxStream *s, const char *token, uint64_t window, const cJSON *open)
{
    Mux *m = s->mux;
    memcpy(s->token, token, MUX_TOKEN_SIZE);
    s->peer_limit = window;
    s->is_linked = s->was_said = true;
    if (m->options.events && m->options.events->on_open)
        m->options.events->on_open(m, s, open, m->options.userdata);
    else
        mux_stream_remove(s, MUX_FRAME_RESET, "stream.no-target");
}

static int feed_open(Mux *m, const MuxFrame *f, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *open = NULL;
    const char *token;
    uint64_t window;
    bool is_repeated = f->stream <= m->peer_id;
    if ((f->stream & 1) != (m->options.side == MUX_CLIENT))
        return error_set(err, EPROTO, "mux.protocol", "the peer opens stream %u, whose number is ours", f->stream);
    if (!is_repeated)
        m->peer_id = f->stream;
    MuxStream *s = mux_find(m, f->stream);
    if (parse_open(f, &open, &token, &window) < 0) {
        if (!s)
            return refuse_id(m, f->stream, "stream.bad-open", err);
        refuse(s, "stream.bad-open");
        return 0;
    }
    if (s) {
        reopened(s, token, window);
        return 0;
    }
    if (is_repeated || mux_farewell_find(m, f->stream))
        return answer_unknown(m, f->stream, err);
    if (m->away)
        return refuse_id(m, f->stream, "stream.going-away", err);
    if (mux_farewells_full(m))
        return refuse_id(m, f->stream, NULL, err);
    int r = mux_stream_new(m, f->stream, false, &s);
    if (r < 0)
        return refuse_id(m, f->stream, r == -EMFILE ? "stream.too-many" : "stream.no-memory", err);
    offer(s, token, window, open);
    return 0;
}

static int feed_data(Mux *m, const MuxFrame *f, Error *err _unused_)
{
    MuxStream *s = mux_find(m, f->stream);
    if (!s || !s->is_linked)
        return 0;
    if (f->position > UINT64_MAX - f->len || f->position + f->len > s->limit) {
        refuse(s, "stream.window");
        return 0;
    }
    uint64_t end = f->position + f->len;
    if (f->position > s->received || (s->in_ended && end > s->received)) {
        refuse(s, "stream.gap");
        return 0;
    }
    if (end <= s->received)
        return 0;
    size_t len = (size_t) (end - s->received);
    s->received = end;
    s->active_at = m->now;
    if (s->receipt_at == 0)
        s->receipt_at = m->now + MUX_RECEIPT_DELAY;
    if (s->events && s->events->on_data)
        s->events->on_data(s, f->data + (f->len - len), len, s->userdata);
    else
        mux_stream_consumed(s, len);
    return 0;
}

static int feed_credit(Mux *m, const MuxFrame *f, Error *err _unused_)
{
    MuxStream *s = mux_find(m, f->stream);
    uint64_t received = mux_get_u64(f->data);
    bool ended = f->flags & MUX_FLAG_ENDED;
    if (!s)
        return 0;
    bool is_answer = s->is_ours && !s->is_accepted && s->is_said;
    /* The last word of a peer that has forgotten the stream is about one that was not resumed. */
    if (!s->is_linked && !is_answer && !ended)
        return 0;
    if (!is_limit(f->position, received) || !confirm(s, received, ended)) {
        refuse(s, "stream.credit");
        return 0;
    }
    raise_limit(s, f->position);
    if (is_answer)
        link_stream(s);
    if (!s->is_gone)
        finish_if_done(s);
    return 0;
}

static int feed_half_close(Mux *m, const MuxFrame *f, Error *err _unused_)
{
    MuxStream *s = mux_find(m, f->stream);
    if (!s || !s->is_linked)
        return 0;
    if (f->position != s->received || !s->is_accepted) {
        refuse(s, "stream.gap");
        return 0;
    }
    bool is_new = !s->in_ended;
    s->in_ended = s->credit_due = true;
    if (is_new && s->events && s->events->on_end)
        s->events->on_end(s, s->userdata);
    if (!s->is_gone)
        finish_if_done(s);
    return 0;
}

static int feed_reset(Mux *m, const MuxFrame *f, Error *err _unused_)
{
    char reason[MUX_REASON_MAX + 1];
    MuxStream *s = mux_find(m, f->stream);
    if (!s)
        return 0;
    memcpy(reason, f->data, f->len);
    reason[f->len] = '\0';
    mux_stream_close(s, 0, reason);
    return 0;
}

static int feed_go_away(Mux *m, const MuxFrame *f _unused_, Error *err _unused_)
{
    m->peer_away = true;
    return 0;
}

static void resumed(MuxStream *s, uint64_t received, uint64_t limit, bool ended)
{
    if (received < s->confirmed || !is_limit(limit, received) || !confirm(s, received, ended)) {
        refuse(s, "stream.gap");
        return;
    }
    s->next = received;
    s->end_sent = ended;
    raise_limit(s, limit);
    link_stream(s);
    if (!s->is_gone)
        finish_if_done(s);
}

static int feed_resume(Mux *m, const MuxFrame *f, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *object = NULL;
    uint64_t limit = 0;
    MuxStream *s = mux_find(m, f->stream);
    if (!s)
        return answer_unknown(m, f->stream, err);
    int r = json_parse_object((const char *) f->data, f->len, &object, NULL);
    const char *token = r < 0 ? NULL : json_string(object, "token");
    if (!token || json_u64(object, "limit", &limit) < 0)
        refuse(s, "stream.bad-resume");
    else if (strcmp(token, s->token) != 0 || (!s->is_ours && !s->is_accepted))
        refuse(s, "stream.unknown");
    else if (!s->is_linked)
        resumed(s, f->position, limit, json_bool(object, "ended", false));
    return 0;
}

int mux_feed(Mux *m, const uint8_t *frame, size_t len, usec_t now, Error *err)
{
    static int (*const feeders[_MUX_FRAME_KINDS])(Mux *, const MuxFrame *, Error *) = {
        [MUX_FRAME_OPEN] = feed_open,     [MUX_FRAME_DATA] = feed_data,
        [MUX_FRAME_CREDIT] = feed_credit, [MUX_FRAME_HALF_CLOSE] = feed_half_close,
        [MUX_FRAME_RESET] = feed_reset,   [MUX_FRAME_GO_AWAY] = feed_go_away,
        [MUX_FRAME_RESUME] = feed_resume,
    };
    MuxFrame f;
    if (!m->is_attached)
        return error_set(err, ENOTCONN, "mux.detached", "a frame came without a connection");
    int r = mux_frame_decode(frame, len, &f, err);
    if (r < 0)
        return r;
    mux_touch(m, now);
    lifetime_hold(&m->life);
    r = feeders[f.kind](m, &f, err);
    if (r >= 0 && m->is_broken)
        r = error_set(err, ENOMEM, "mux.no-memory", "no memory to tell the peer of the end of a stream");
    mux_settle(m);
    mux_wake(m);
    mux_release(m);
    return r;
}
