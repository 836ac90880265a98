/* SPDX-License-Identifier: MIT */
/* A WebSocket to somebody else's server: connects, upgrades, and hands the connection over. It tries once. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/net/stream.h"
#include "lib/websocket/connection.h"

typedef struct WsConnect WsConnect;

typedef struct WsConnectTarget {
    const char *url;      /* ws:// or wss:// */
    const char *protocol; /* NULL: none is asked for */
    const char *token;    /* goes into Authorization: Bearer; NULL: none */
} WsConnectTarget;

/* One of the two is called, once, from the loop; the WsConnect is freed afterwards. */
typedef struct WsConnectEvents {
    /* `c` is the callee's now, who sets its events before returning. */
    void (*on_open)(WsConnect *w, WsConn *c, void *userdata);
    /* http_status is that of a server that refused, 0 otherwise. Errors: stream.*, ws.refused, ws.bad-upgrade, ws.timeout,
     * http.*. */
    void (*on_failed)(WsConnect *w, int r, int http_status, const Error *err, void *userdata);
} WsConnectEvents;

/* The answer to the upgrade may take 10 s after the connection is there. ws.bad-url, stream.resolve. */
int ws_connect(sd_event *event, const WsConnectTarget *target, const WsConnectEvents *events, void *userdata,
               WsConnect **ret, Error *err) _must_check_;
/* Gives it up, and calls nothing. NULL-safe; only before one of the two was called. */
WsConnect *ws_connect_free(WsConnect *w);
DEFINE_CLEANUP(WsConnect, ws_connect_free)
