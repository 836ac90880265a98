/* SPDX-License-Identifier: MIT */
#include "lib/websocket/accept.h"

#include <errno.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/websocket/connection-impl.h"
#include "lib/websocket/handshake.h"

bool ws_is_wanted(const HttpExchange *x)
{
    return http_head_has_token(http_head(x), "Upgrade", "websocket");
}

int ws_accept(HttpExchange *x, const char *protocol, WsConn **ret, Error *err)
{
    char accept[WS_ACCEPT_SIZE];
    _cleanup_(buf_done) Buf answer = BUF_INIT(HTTP_HEADER_MAX);
    CoarseClock *clock = NULL;
    Stream *stream = http_switchable(x, &clock);
    if (!stream)
        return error_set(err, EINVAL, "ws.not-an-upgrade",
                         "a WebSocket client waits for the answer before it sends more");
    int r = ws_check_request(http_head(x), protocol, accept, err);
    if (r >= 0)
        r = ws_make_response(&answer, accept, protocol);
    WsConn *ws = NULL;
    if (r >= 0)
        r = ws_conn_new(stream, WS_SERVER, &ws);
    if (r < 0)
        return error_from_errno(err, r, "cannot make the WebSocket");
    ws_conn_set_clock(ws, clock);
    http_switch(x, answer.data, answer.len);
    *ret = ws;
    return 0;
}
