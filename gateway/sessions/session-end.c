/* SPDX-License-Identifier: MIT */
/* See session-end.h. */
#include "gateway/sessions/session-end.h"

#include <string.h>

#include "gateway/sessions/session-record.h"
#include "lib/event/daemon.h"

void support_session_end(SupportSession *v, const char *id, const char *sentence)
{
    if (v->state == SESSION_ENDED)
        return;
    bool was_open = v->state == SESSION_OPEN;
    v->end_reason = strdup(id);
    v->state = SESSION_ENDED;
    v->closed_at = realtime_usec();
    if (sentence)
        support_session_say(v, was_open ? "ended" : "refused", id, sentence);
    v->operator= NULL;
    if (v->theirs)
        mux_stream_reset(TAKE_PTR(v->theirs), id);
    if (v->box)
        mux_stream_reset(TAKE_PTR(v->box), id);
    timer_disarm(v->timer);
    flow_done(&v->to_box);
    flow_done(&v->from_box);
    if (was_open) {
        support_session_log_end(v);
        support_session_save(v);
    } else {
        support_session_audit_refusal(v);
        support_session_free(v);
    }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

void support_session_watch(SupportSession *v, usec_t now)
{
    usec_t at = session_limits_judge(&v->limits, &v->idle, now).look_again;
    if (timer_arm(v->owner->event, &v->timer, at > now ? at - now : 0, on_timer, v) < 0)
        support_session_end(v, "gateway.no-memory", "the gateway has no memory for this session");
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    SupportSession *v = userdata;
    usec_t now = boottime_usec();
    SessionVerdict verdict = session_limits_judge(&v->limits, &v->idle, now);
    if (verdict.id)
        support_session_end(v, verdict.id, verdict.sentence);
    else
        support_session_watch(v, now);
    return 0;
}
