/* SPDX-License-Identifier: MIT */
/* The opening handshake of WebSocket (RFC 6455 §4) without I/O: what to send, and whether the other side's part is
 * right. Extensions are never agreed to. */
#pragma once

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/http/parser.h"

#define WS_KEY_SIZE 25    /* 16 bytes in base64, with NUL */
#define WS_ACCEPT_SIZE 29 /* 20 bytes in base64, with NUL */

typedef struct WsUrl {
    char *host; /* without brackets; owned */
    char *path; /* with the query, never empty; owned */
    uint16_t port;
    bool tls;
} WsUrl;

/* ws:// or wss:// with a host and no user, fragment, "${", blank or control character. `id` is the error's. */
int ws_url_parse(const char *text, const char *id, WsUrl *ret, Error *err) _must_check_;
void ws_url_done(WsUrl *u);

int ws_make_key(char ret[static WS_KEY_SIZE]) _must_check_;

/* The server's check of a request; ret_accept is what to answer. -EINVAL ws.not-an-upgrade, -EPROTONOSUPPORT ws.version
 * (answer 426 with Sec-WebSocket-Version: 13), ws.protocol. */
int ws_check_request(const HttpHead *h, const char *protocol, char ret_accept[static WS_ACCEPT_SIZE],
                     Error *err) _must_check_;
int ws_make_response(Buf *out, const char *accept, const char *protocol) _must_check_;

/* token (may be NULL) goes into Authorization: Bearer. -EINVAL when it could not be a token. */
int ws_make_request(Buf *out, const WsUrl *url, const char *key, const char *protocol, const char *token) _must_check_;
/* The client's check of the answer, which must be 101: ws.refused (with the status), ws.bad-upgrade. */
int ws_check_response(const HttpHead *h, const char *key, const char *protocol, Error *err) _must_check_;
