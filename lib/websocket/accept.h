/* SPDX-License-Identifier: MIT */
/* Makes WebSocket connections of requests to the HTTP server (RFC 6455 §4.2). */
#pragma once

#include "lib/http/server.h"
#include "lib/websocket/connection.h"

/* Whether the request asks for WebSocket. */
bool ws_is_wanted(const HttpExchange *x);

/* Answers 101 to a well-formed upgrade and hands the connection over; ends the exchange. On failure nothing was sent and
 * the exchange goes on: answer it. protocol is what Sec-WebSocket-Protocol must offer and is answered with.
 * Errors: ws.not-an-upgrade, ws.version, ws.protocol. */
int ws_accept(HttpExchange *x, const char *protocol, WsConn **ret, Error *err) _must_check_;
