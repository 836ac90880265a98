/* SPDX-License-Identifier: MIT */
/* How much each stream may be sent: windows that grow with the path, within what one session may hold. */
#include "lib/mux/mux-impl.h"

/* A measured round trip leaves out what two busy loops add to it. */
#define LOOPS_USEC USEC_PER_MSEC

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What this stream may put on us at the most: a limit that was given is not taken back when the window shrinks. One that is
 * ended keeps the least, for the stream that takes its place. */
static size_t held(const MuxStream *s)
{
    size_t granted = (size_t) ((s->in_ended ? s->received : s->limit) - s->consumed);
    return most(most(granted, s->in_ended ? 0 : s->window), MUX_WINDOW_MIN);
}

/* Left of the session, now and when all streams are back to their windows. Some stays for streams to come: the least
 * for each, and an eighth so that the next ones need not begin with that. */
static void measure(const Mux *m, size_t *ret_now, size_t *ret_later)
{
    size_t reserve = m->options.session_max / 8, now = 0, later = 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        const MuxStream *s = m->streams[i];
        if (!s) {
            reserve += MUX_WINDOW_MIN;
        } else {
            now += held(s);
            later += s->in_ended ? MUX_WINDOW_MIN : most(s->window, MUX_WINDOW_MIN);
        }
    }
    size_t max = m->options.session_max > reserve ? m->options.session_max - reserve : 0;
    *ret_now = max > now ? max - now : 0;
    *ret_later = max > later ? max - later : 0;
}

/* Takes what is missing from the stream that has most, as long as it keeps more than the one that wants it. */
static void borrow(Mux *m, const MuxStream *wants, size_t window, size_t missing)
{
    MuxStream *from = NULL;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        MuxStream *s = m->streams[i];
        if (s && s != wants && !s->in_ended && (!from || s->window > from->window))
            from = s;
    }
    if (from && from->window > window)
        from->window -= least(missing, from->window - window);
}

/* What was taken from a large stream must not grow back before the small one has it. */
static bool must_wait(const MuxStream *s)
{
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        const MuxStream *t = s->mux->streams[i];
        if (t && t->is_short && !t->in_ended && t->window < s->window && s->mux->now - t->active_at <= MUX_ACTIVE)
            return true;
    }
    return false;
}

static void grow(MuxStream *s, size_t wanted)
{
    size_t now, later;
    if (wanted > s->mux->options.window_max)
        wanted = s->mux->options.window_max;
    s->is_short = false;
    if (wanted <= s->window || must_wait(s))
        return;
    size_t more = wanted - s->window;
    measure(s->mux, &now, &later);
    if (later < more)
        borrow(s->mux, s, wanted, more - later);
    s->is_short = now < more;
    s->window += least(more, now);
}

/* The first window is taken from the whole session: the reserve is for this. */
void mux_window_init(MuxStream *s)
{
    const Mux *m = s->mux;
    size_t used = 0, initial = m->options.window_initial;
    unsigned others = 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        if (m->streams[i] && m->streams[i] != s) {
            used += held(m->streams[i]);
            others++;
        }
    size_t reserve = (MUX_STREAMS_MAX - 1 - others) * MUX_WINDOW_MIN + used;
    size_t left = m->options.session_max > reserve ? m->options.session_max - reserve : 0;
    s->window = least(initial, most(left, MUX_WINDOW_MIN));
}

bool mux_credit_is_due(const MuxStream *s)
{
    if (!s->is_accepted || !s->is_linked || s->resume_due)
        return false;
    if (s->credit_due)
        return true;
    uint64_t limit = s->consumed + s->window;
    return !s->in_ended && limit > s->limit && limit - s->limit >= s->window / 4;
}

void mux_window_raise(MuxStream *s)
{
    Mux *m = s->mux;
    if (s->in_ended)
        return;
    if (s->window < m->options.window_initial)
        grow(s, m->options.window_initial);
    if (s->consumed - s->measured_from >= s->window / 2) {
        if (m->rtt > 0 && m->now - s->measured_at < 2 * (m->rtt + LOOPS_USEC))
            grow(s, s->window * 2);
        else
            s->is_short = s->window < m->options.window_initial;
        s->measured_from = s->consumed;
        s->measured_at = m->now;
    }
    if (s->consumed + s->window > s->limit)
        s->limit = s->consumed + s->window;
}
