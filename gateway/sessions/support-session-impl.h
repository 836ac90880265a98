/* SPDX-License-Identifier: MIT */
/* What the files of a session share with each other and with nobody else. */
#pragma once

#include "gateway/sessions/grants.h"
#include "gateway/sessions/idle.h"
#include "gateway/sessions/support-session.h"
#include "gateway/sessions/access-routes.h"
#include "lib/base/buf.h"

#define VISIT_ID_SIZE 19 /* "s-" and 16 digits, with NUL */

typedef enum SupportSessionState {
    VISIT_ASKING, /* the database is asked about the grant */
    VISIT_TRYING, /* one way after the other */
    VISIT_OPEN,
    VISIT_ENDED, /* no streams any more; kept until its end is written down */
} SupportSessionState;

/* One direction: what came from one stream and could not be written to the other yet, at most a window. */
typedef struct Flow {
    MuxStream **from, **to; /* of the session */
    Buf waiting;
    size_t start; /* bytes of `waiting` that are gone */
    uint64_t bytes;
    bool ended, finished; /* nothing more comes; and we have said so to the other side */
} Flow;

struct SupportSession {
    Gateway *gateway;
    Operator *operator; /* NULL behind the end of its stream */
    char id[VISIT_ID_SIZE];
    char *name; /* the id that the operator gave; NULL = none */
    char *person, *device, *grant_id; /* as asked for */
    char *token;                      /* the hash of the one that opened it */
    SupportSessionState state;
    Grant grant; /* known behind VISIT_ASKING */
    StoreQuery *query;
    sd_event_source *timer;
    MuxStream *theirs, *box;

    AccessRoute routes[ACCESS_ROUTES_MAX];
    size_t n_ways, way;
    bool any_way, recovery_told;
    bool accepted; /* by the box, which has not said anything yet */
    Buf story;     /* what came of the routes so far */

    Flow to_box, from_box;
    Idle idle;
    usec_t ends_at; /* CLOCK_BOOTTIME: the grant's end or the longest length, whichever comes first */
    bool ends_by_grant;

    usec_t opened_at, closed_at; /* wall clock; 0 = not */
    uint64_t saved_bytes;
    bool open_saved;
    char *end_reason;
};

/* support-session.c */
void support_session_say(SupportSession *v, const char *state, const char *error, const char *sentence);
/* Resets what is open with the reason `id`, and lets the record follow. `sentence` NULL: the person is not told. */
void support_session_end(SupportSession *v, const char *id, const char *sentence);
/* The way is good. */
void support_session_opened(SupportSession *v);

/* session-routes.c */
void support_session_try(SupportSession *v);
/* Goes on to the next way; `what` came of this one. */
void support_session_way_failed(SupportSession *v, const char *what);
void support_session_way_refused(SupportSession *v, const char *reason);
void support_session_tell_recovery(SupportSession *v);

/* session-relay.c */
extern const MuxStreamEvents support_session_their_events, support_session_box_events;
void flow_init(Flow *f, MuxStream **from, MuxStream **to);
void flow_done(Flow *f);
/* Writes what waits as far as there is room, then the end. */
void flow_flush(Flow *f);

/* session-record.c */
void support_session_save(SupportSession *v);
void support_session_audit_refusal(const SupportSession *v);
void support_session_log_open(const SupportSession *v);
void support_session_log_end(const SupportSession *v);
