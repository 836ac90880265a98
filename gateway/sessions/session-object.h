/* SPDX-License-Identifier: MIT */
/* One support session. Private to this folder. */
#pragma once

#include "gateway/auth/backlog.h"
#include "gateway/devices/device-connection.h"
#include "gateway/devices/host-keys.h"
#include "gateway/sessions/access-routes.h"
#include "gateway/sessions/flow.h"
#include "gateway/sessions/grants.h"
#include "gateway/sessions/idle.h"
#include "gateway/sessions/log-readers.h"
#include "gateway/sessions/operators.h"
#include "gateway/sessions/session-limits.h"
#include "lib/base/buf.h"
#include "lib/base/map.h"

#define SESSION_ID_SIZE 19 /* "s-" and 16 digits, with NUL */

typedef struct SupportSession SupportSession;
typedef struct SupportSessions SupportSessions;

typedef enum SupportSessionState {
    SESSION_ASKING, /* the database is asked about the grant */
    SESSION_TRYING, /* one route after the other */
    SESSION_OPEN,
    SESSION_ENDED, /* no streams any more; kept until its end is written down */
} SupportSessionState;

struct SupportSessions {
    sd_event *event;
    Store *store;
    Backlog *backlog;
    DeviceConns *conns;
    Operators *operators;
    const HostKeys *host_keys;
    Map *map; /* by id → SupportSession, owned */
    LogReaders *logs;
};

struct SupportSession {
    SupportSessions *owner;
    Operator *operator; /* NULL after the end of its stream */
    char id[SESSION_ID_SIZE];
    char *name;                       /* the id that the operator gave; NULL = none */
    char *person, *device, *grant_id; /* as asked for */
    char *token;                      /* the hash of the one that opened it */
    char *certificate;                /* serial number of the one that it alone logs in with; NULL = not told */
    SupportSessionState state;
    Grant grant; /* known after SESSION_ASKING */
    StoreQuery *query;
    sd_event_source *timer;
    MuxStream *theirs, *box;
    const MuxStreamEvents *box_events;
    void (*open)(SupportSession *v); /* the route is the way in */

    AccessRoute routes[ACCESS_ROUTES_MAX];
    size_t n_routes, route;
    bool any_route, recovery_told;
    bool accepted; /* by the box, which has not said anything yet */
    Buf greeting;  /* what the box's sshd has said before it counts as a way in */
    bool greeted;  /* some sshd has, and then said nothing more: the route is that below */
    bool lenient;  /* a greeting is enough */
    size_t greeted_route;
    Buf story; /* what came of the routes so far */

    Flow to_box, from_box;
    Idle idle;
    SessionLimits limits;

    usec_t opened_at, closed_at; /* wall clock; 0 = not */
    uint64_t saved_bytes;
    bool open_saved, end_saved; /* in the backlog */
    char *end_reason;
};

/* Frees without a record. */
void support_session_free(SupportSession *v);
/* Tells the operator what becomes of it. */
void support_session_say(SupportSession *v, const char *state, const char *error, const char *sentence);
