/* SPDX-License-Identifier: MIT */
/* See session-relay.h. */
#include "gateway/sessions/session-relay.h"

#include "gateway/sessions/session-end.h"
#include "gateway/sessions/session-record.h"
#include "gateway/sessions/session-routes.h"
#include "lib/base/strv.h"

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
