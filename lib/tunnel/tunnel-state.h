/* SPDX-License-Identifier: MIT */
/* The decisions of a tunnel, apart from their execution: which state follows, how long each may last, when to come
 * back. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/event/backoff.h"

typedef enum TunnelState {
    TUNNEL_IDLE,       /* until tunnel_retry(): no token, or the token was refused */
    TUNNEL_WAITING,    /* until the delay is over */
    TUNNEL_CONNECTING, /* address, TCP, TLS; the stream has the deadlines */
    TUNNEL_UPGRADING,
    TUNNEL_GREETING, /* hello is sent, welcome is awaited */
    TUNNEL_UP,
    TUNNEL_LEAVING, /* our close has been sent */
    _TUNNEL_STATES,
} TunnelState;

typedef enum TunnelInput {
    TUNNEL_START, /* the delay is over, and there is a token */
    TUNNEL_NO_TOKEN,
    TUNNEL_CONNECTED,
    TUNNEL_UPGRADED,
    TUNNEL_WELCOMED,
    TUNNEL_LEAVE,   /* goaway, or a cycle was asked for */
    TUNNEL_LOST,    /* and will be tried again */
    TUNNEL_REFUSED, /* 401, 403 */
    TUNNEL_RETRY,   /* tunnel_retry() */
    _TUNNEL_INPUTS,
} TunnelInput;

/* The next state; an input that means nothing in this state leaves it. */
TunnelState tunnel_next(TunnelState state, TunnelInput input);

/* How long a state may last; 0 = no limit of its own. */
usec_t tunnel_deadline(TunnelState state);

typedef struct TunnelEnd {
    int http_status;         /* of a refused upgrade, else 0 */
    usec_t retry_after_usec; /* Retry-After or goaway; 0 = none */
    usec_t spread_usec;
    usec_t lasted_usec; /* of a session that was up */
    bool cycle;         /* ended on purpose, in order to come back at once */
    bool stranger;      /* somebody else than the gateway refused the upgrade; http_status is 0 then */
    bool goaway;        /* or the gateway left without a word: retry_after_usec and spread_usec count */
    bool streams;       /* streams are open and wait for the next connection */
} TunnelEnd;

/* When to come back: USEC_INFINITY after 401 and 403, 0 for a cycle, else what the server says or full jitter; with
 * open streams at most 1 s later than the least that the server asks for. A stranger is asked again within a minute. */
usec_t tunnel_retry_delay(const TunnelEnd *end, Backoff *backoff, uint64_t random);

/* Which way the next connection goes. */
typedef struct TunnelWay {
    bool known_only; /* to known addresses alone: those of the resolver led nowhere last time */
    bool has_proxy;
    bool direct; /* past the proxy, which led nowhere last time */
} TunnelWay;
bool tunnel_way_is_proxy(const TunnelWay *way);
void tunnel_way_ended(TunnelWay *way, bool led_nowhere);

/* Whether the gateway, or whatever stands in front of it, ended a WebSocket connection: then it ended those of all
 * boxes, and they must not all come back at once. Not when this box's own link is to blame (reason is the id of the
 * error that the connection ended with; NULL = none), nor when the close code speaks of this connection alone. */
bool tunnel_gateway_left(uint16_t close_code, const char *reason);

/* Retry-After in seconds, at most an hour; 0 when it is missing or a date. */
usec_t tunnel_parse_retry_after(const char *value);
