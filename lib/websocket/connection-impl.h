/* SPDX-License-Identifier: MIT */
/* For those who make WebSocket connections: the HTTP server, ws_connect() and the tunnel. */
#pragma once

#include "lib/event/coarse-timer.h"
#include "lib/net/stream.h"
#include "lib/websocket/connection.h"
#include "lib/websocket/codec.h"

/* Takes over a stream on which the upgrade is done (the stream stays the caller's on failure). Until
 * ws_conn_set_events() messages are dropped. */
int ws_conn_new(Stream *stream, WsRole role, WsConn **ret) _must_check_;
/* Its keepalive uses this clock, which costs less than a timer of its own. Takes a reference. */
void ws_conn_set_clock(WsConn *c, CoarseClock *clock);
/* Decodes bytes that came along with the upgrade. From the loop only; may free the connection. */
void ws_conn_feed(WsConn *c, const uint8_t *data, size_t len);
