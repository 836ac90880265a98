/* SPDX-License-Identifier: MIT */
/* Turns requests to the HTTP server into WebSocket connections (RFC 6455 §4.2). */
#pragma once

#include "lib/http/server.h"
#include "lib/websocket/connection.h"

/* Whether the request asks for WebSocket. */
bool ws_is_wanted(const HttpExchange *x);

/* Answers 101 to a well-formed upgrade and hands the connection over; ends the exchange. On failure nothing was sent and
 * the exchange goes on: answer it. protocol must be among those offered in Sec-WebSocket-Protocol, and is the one
 * answered. Errors: ws.not-an-upgrade, ws.version, ws.protocol. */
int ws_accept(HttpExchange *x, const char *protocol, WsConn **ret, Error *err) _must_check_;
