/* SPDX-License-Identifier: MIT */
/* The gateway's side of every tunnel's beginning: upgrade, hello, welcome (docs/wire-format.md). */
#pragma once

#include <cjson/cJSON.h>

#include "lib/http/server.h"
#include "lib/websocket/connection.h"

#define TUNNEL_HELLO_DEADLINE (10 * USEC_PER_SEC)

/* -EINVAL "ws.not-an-upgrade": said before anything is done for it. */
int tunnel_check_upgrade(const HttpExchange *x, Error *err) _must_check_;
/* Answers with an upgrade, and ends the exchange. Messages may be as long as a hello until tunnel_welcome(). On failure
 * nothing was answered: -ENOMEM, or -EINVAL with what ws_accept() says. */
int tunnel_upgrade(HttpExchange *x, const WsEvents *events, void *userdata, WsConn **ret, Error *err) _must_check_;

/* Reads the first message. -EPROTO: hello.missing, hello.identity (another device or role; a role of NULL is left to the
 * caller), hello.protocol; or what message_parse() says. */
int tunnel_read_hello(const char *text, size_t len, unsigned senders, const char *device, const char *role, cJSON **ret,
                      Error *err) _must_check_;

typedef struct TunnelWelcome {
    const char *device;
    const char *connection; /* its name */
    int spread_seconds;     /* 0: nothing is said about it */
    const char *audit_head; /* NULL: the same */
    const char *nonce;      /* for lib/tunnel/voucher.h; likewise */
} TunnelWelcome;

int tunnel_welcome(WsConn *ws, const TunnelWelcome *w) _must_check_;
