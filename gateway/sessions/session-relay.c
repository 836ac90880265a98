/* SPDX-License-Identifier: MIT */
/* A byte counts as dealt with once the other stream has taken it, so that the sender's
 * window is what bounds all that waits here. */
#include "gateway/sessions/session-relay.h"

#include <errno.h>

#include "gateway/sessions/session-end.h"
#include "gateway/sessions/session-record.h"
#include "gateway/sessions/session-routes.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

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

static void flow_flush(Flow *f)
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

/* What the other stream does not take waits. It is moved to the front only when most of the buffer is sent. */
static int flow_keep(Flow *f, const uint8_t *data, size_t len)
{
    if (f->start > f->waiting.len / 2) {
        buf_consume(&f->waiting, f->start);
        f->start = 0;
    }
    return buf_append(&f->waiting, data, len);
}

static int flow_push(Flow *f, const uint8_t *data, size_t len, bool may_write)
{
    size_t n = 0;
    f->bytes += len;
    if (may_write && !flow_waits(f) && *f->to) {
        n = mux_stream_write(*f->to, data, len);
        flow_consumed(f, n);
    }
    return n < len ? flow_keep(f, data + n, len - n) : 0;
}

static void pass(SupportSession *v, Flow *f, const uint8_t *data, size_t len)
{
    if (v->state == SESSION_ENDED)
        return;
    if (v->state == SESSION_OPEN)
        idle_bytes(&v->idle, len, boottime_usec());
    if (flow_push(f, data, len, v->state == SESSION_OPEN) < 0)
        support_session_end(v, "gateway.no-memory", "the gateway has no memory for this session");
}

static void on_their_data(MuxStream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    SupportSession *v = userdata;
    pass(v, &v->to_box, data, len);
}

static void on_their_room(MuxStream *s _unused_, void *userdata)
{
    SupportSession *v = userdata;
    flow_flush(&v->from_box);
}

static void on_their_end(MuxStream *s _unused_, void *userdata)
{
    SupportSession *v = userdata;
    v->to_box.ended = true;
    if (v->state == SESSION_OPEN)
        flow_flush(&v->to_box);
}

static void on_their_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    SupportSession *v = userdata;
    bool left = str_equal(reason, "operator.left") || str_equal(reason, "local.closed"); /* how ssh ends */
    v->theirs = NULL;
    v->operator= NULL;
    if (reason)
        support_session_end(v, left ? "closed" : reason, NULL);
    else if (!v->box)
        support_session_end(v, "closed", NULL);
}

const MuxStreamEvents support_session_their_events = {
    .on_data = on_their_data,
    .on_room = on_their_room,
    .on_end = on_their_end,
    .on_closed = on_their_closed,
};

static void on_box_accepted(MuxStream *s _unused_, void *userdata)
{
    SupportSession *v = userdata;
    v->accepted = true;
}

static void session_opened(SupportSession *v)
{
    usec_t now = boottime_usec();
    v->state = SESSION_OPEN;
    v->opened_at = realtime_usec();
    session_limits_open(&v->limits, now, v->grant.max_seconds * USEC_PER_SEC);
    idle_start(&v->idle, now);
    _cleanup_(freep) char *sentence = str_format("connected through %s", v->routes[v->route].title);
    support_session_say(v, "open", NULL, sentence ? sentence : "connected");
    support_session_log_open(v);
    support_session_save(v);
    flow_flush(&v->to_box);
    support_session_watch(v, now);
}

static void on_box_data(MuxStream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    SupportSession *v = userdata;
    if (v->state == SESSION_TRYING)
        session_opened(v);
    pass(v, &v->from_box, data, len);
}

static void on_box_room(MuxStream *s _unused_, void *userdata)
{
    SupportSession *v = userdata;
    if (v->state == SESSION_OPEN)
        flow_flush(&v->to_box);
}

static void on_box_end(MuxStream *s _unused_, void *userdata)
{
    SupportSession *v = userdata;
    if (v->state == SESSION_TRYING) {
        support_session_route_failed(v, "its sshd hung up without a word");
        return;
    }
    v->from_box.ended = true;
    flow_flush(&v->from_box);
}

static void on_box_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    SupportSession *v = userdata;
    v->box = NULL;
    if (v->state == SESSION_TRYING)
        support_session_route_refused(v, reason);
    else if (reason)
        support_session_end(v, reason, "the box ended the session");
    else if (!v->theirs)
        support_session_end(v, "closed", NULL);
}

const MuxStreamEvents support_session_box_events = {
    .on_accepted = on_box_accepted,
    .on_data = on_box_data,
    .on_room = on_box_room,
    .on_end = on_box_end,
    .on_closed = on_box_closed,
};
