/* SPDX-License-Identifier: MIT */
/* See session-relay.h. */
#include "gateway/sessions/session-relay.h"

#include <string.h>

#include "gateway/sessions/session-end.h"
#include "gateway/sessions/session-record.h"
#include "gateway/sessions/session-routes.h"
#include "lib/base/strv.h"

/* False: it has ended, and may be gone. */
static bool pass(SupportSession *v, Flow *f, const uint8_t *data, size_t len)
{
    if (v->state == SESSION_ENDED)
        return false;
    if (v->state == SESSION_OPEN)
        idle_bytes(&v->idle, len, boottime_usec());
    if (flow_push(f, data, len, v->state == SESSION_OPEN) >= 0)
        return true;
    support_session_end(v, "gateway.no-memory", "the gateway has no memory for this session");
    return false;
}

static void offer(SupportSession *v)
{
    bool first = v->to_box.offered == 0;
    if (v->state != SESSION_TRYING || !v->accepted)
        return;
    flow_offer(&v->to_box);
    if (first && v->to_box.offered > 0 && v->greeting.len > 0)
        support_session_wait(v, BRIDGE_ROUTE_USEC);
}

static void on_their_data(MuxStream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    SupportSession *v = userdata;
    if (pass(v, &v->to_box, data, len))
        offer(v);
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
    offer(v);
}

void support_session_open(SupportSession *v)
{
    _cleanup_(buf_done) Buf greeting = v->greeting;
    v->greeting = BUF_INIT(greeting.max);

    usec_t now = boottime_usec();
    v->state = SESSION_OPEN;
    v->opened_at = realtime_usec();
    session_limits_open(&v->limits, now, v->grant.max_seconds * USEC_PER_SEC);
    idle_start(&v->idle, now);
    _cleanup_(freep) char *sentence = str_format("connected through %s", v->routes[v->route].title);
    support_session_say(v, "open", NULL, sentence ? sentence : "connected");
    support_session_log_open(v);
    support_session_save(v);
    flow_settle(&v->to_box);
    flow_flush(&v->to_box);
    support_session_watch(v, now);
    (void) pass(v, &v->from_box, (const uint8_t *) greeting.data, greeting.len);
}

/* Behind the line by which an sshd names itself it goes on by itself; what else is said is somebody else's business. */
static bool is_way_in(const Buf *greeting)
{
    static const char name[] = "SSH-";
    size_t len = greeting->len < strlen(name) ? greeting->len : strlen(name);
    const char *end = memchr(greeting->data, '\n', greeting->len);
    return memcmp(greeting->data, name, len) != 0 || (end && end + 1 < greeting->data + greeting->len);
}

static void on_greeting(SupportSession *v, const uint8_t *data, size_t len)
{
    bool first = v->greeting.len == 0;
    if (buf_append(&v->greeting, data, len) < 0)
        support_session_end(v, "gateway.no-memory", "the gateway has no memory for this session");
    else if (v->lenient || is_way_in(&v->greeting))
        support_session_open(v);
    else if (first && v->to_box.offered == 0)
        support_session_wait(v, BRIDGE_SHY_USEC);
}

static void on_box_data(MuxStream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    SupportSession *v = userdata;
    if (v->state == SESSION_TRYING)
        on_greeting(v, data, len);
    else
        (void) pass(v, &v->from_box, data, len);
}

static void on_box_room(MuxStream *s _unused_, void *userdata)
{
    SupportSession *v = userdata;
    if (v->state == SESSION_OPEN)
        flow_flush(&v->to_box);
    else
        offer(v);
}

static void on_box_end(MuxStream *s _unused_, void *userdata)
{
    SupportSession *v = userdata;
    if (v->state == SESSION_TRYING) {
        support_session_route_failed(v, v->greeting.len > 0 ? "its sshd hung up behind its greeting"
                                                            : "its sshd hung up without a word");
        return;
    }
    v->from_box.ended = true;
    flow_flush(&v->from_box);
}

static const char *why_the_box_ended_it(const char *reason)
{
    return str_equal(reason, "stream.unknown") ? "the box has come back without this session: its program has started "
                                                 "anew, or another machine came with its "
                                                 "key, which is device.cloned in the audit log"
                                               : "the box ended the session";
}

static void on_box_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    SupportSession *v = userdata;
    v->box = NULL;
    if (v->state == SESSION_TRYING)
        support_session_route_refused(v, reason);
    else if (reason)
        support_session_end(v, reason, why_the_box_ended_it(reason));
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
