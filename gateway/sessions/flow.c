/* SPDX-License-Identifier: MIT */
/* A byte counts as dealt with once the other stream has taken it, so that the sender's
 * window is what bounds all that waits here. */
#include "gateway/sessions/flow.h"

#include "lib/base/limits.h"

/* a window, and as much again that is sent but not yet cleared away */
#define WAITING_MAX ((size_t) 2 * MUX_WINDOW_MAX + MUX_FRAME_DATA_MAX)

void flow_init(Flow *f, MuxStream **from, MuxStream **to)
{
    *f = (Flow) { .from = from, .to = to, .waiting = BUF_INIT(WAITING_MAX) };
}

static bool flow_waits(const Flow *f)
{
    return f->waiting.len > f->start;
}

/* Gives back credit, unless the other side has nothing more to send. */
static void flow_consumed(Flow *f, size_t n)
{
    if (n > 0 && *f->from)
        mux_stream_consumed(*f->from, n);
}

static void flow_finish(Flow *f)
{
    if (!f->ended || f->finished || flow_waits(f) || !*f->to)
        return;
    f->finished = true;
    mux_stream_finish(*f->to);
}

void flow_flush(Flow *f)
{
    if (flow_waits(f) && *f->to) {
        size_t n = mux_stream_write(*f->to, f->waiting.data + f->start, f->waiting.len - f->start);
        f->start += n;
        flow_consumed(f, n);
        if (!flow_waits(f))
            flow_done(f);
    }
    flow_finish(f);
}

void flow_offer(Flow *f)
{
    size_t begin = f->start + f->offered;
    if (f->waiting.len > begin && *f->to)
        f->offered += mux_stream_write(*f->to, f->waiting.data + begin, f->waiting.len - begin);
}

void flow_take_back(Flow *f)
{
    f->offered = 0;
}

void flow_settle(Flow *f)
{
    f->start += f->offered;
    flow_consumed(f, f->offered);
    f->offered = 0;
    if (!flow_waits(f))
        flow_done(f);
}

/* What the other stream does not take waits. It is moved to the front only when most of the buffer is sent. */
static int flow_keep(Flow *f, const uint8_t *data, size_t len)
{
    if (f->start > f->waiting.len / 2) {
        buf_consume(&f->waiting, f->start);
        f->start = 0;
    }
    return buf_append(&f->waiting, data, len);
}

int flow_push(Flow *f, const uint8_t *data, size_t len, bool may_write)
{
    size_t n = 0;
    f->bytes += len;
    if (may_write && !flow_waits(f) && *f->to) {
        n = mux_stream_write(*f->to, data, len);
        flow_consumed(f, n);
    }
    return n < len ? flow_keep(f, data + n, len - n) : 0;
}

void flow_done(Flow *f)
{
    buf_done(&f->waiting);
    f->start = 0;
}
