/* SPDX-License-Identifier: MIT */
/* See tunnel-handshake.h. */
#include "gateway/http/tunnel-handshake.h"

#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"
#include "lib/tunnel/protocol.h"
#include "lib/websocket/accept.h"

int tunnel_check_upgrade(const HttpExchange *x, Error *err)
{
    if (ws_is_wanted(x))
        return 0;
    return error_set(err, EINVAL, "ws.not-an-upgrade", "this is a tunnel: it takes WebSocket upgrades only");
}

int tunnel_upgrade(HttpExchange *x, const WsEvents *events, void *userdata, WsConn **ret, Error *err)
{
    int r = ws_accept(x, TUNNEL_SUBPROTOCOL, ret, err);
    if (r < 0)
        return r == -ENOMEM ? r : -EINVAL;
    ws_conn_set_events(*ret, events, userdata);
    ws_conn_set_keepalive(*ret, ws_idle_ping(), WS_DEAD_IDLE);
    ws_conn_set_message_max(*ret, HELLO_SIZE_MAX);
    return 0;
}

int tunnel_read_hello(const char *text, size_t len, unsigned senders, const char *device, const char *role, cJSON **ret,
                      Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;
    const MessageType *type = NULL;
    uint64_t protocol = TUNNEL_PROTOCOL;
    int r = message_parse(text, len, senders, &m, &type, err);
    if (r < 0)
        return r;
    if (!str_equal(type->name, "hello"))
        return error_set(err, EPROTO, "hello.missing", "the first message is %s, not hello", type->name);
    if (role && (!str_equal(json_string(m, "deviceId"), device) || !str_equal(json_string(m, "role"), role)))
        return error_set(err, EPROTO, "hello.identity", "hello names another device or role than this tunnel is for");
    if (json_u64(m, "protocol", &protocol) == -EINVAL || protocol < TUNNEL_PROTOCOL)
        return error_set(err, EPROTO, "hello.protocol", "hello asks for a protocol that this gateway does not speak");
    *ret = TAKE_PTR(m);
    return 0;
}

int tunnel_welcome(WsConn *ws, const TunnelWelcome *w)
{
    char now[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("welcome");
    if (!m || json_add_string(m, "deviceId", w->device) < 0 ||
        json_add_string(m, "serverTime", timestamp_format(realtime_usec(), now)) < 0 ||
        json_add_string(m, "connection", w->connection) < 0 || json_add_string(m, "auditHead", w->audit_head) < 0 ||
        json_add_string(m, "nonce", w->nonce) < 0 ||
        (w->spread_seconds > 0 && json_add_int(m, "spreadSeconds", w->spread_seconds) < 0))
        return -ENOMEM;
    _cleanup_(freep) char *text = json_print(m);
    int r = text ? ws_conn_send_text(ws, text, strlen(text)) : -ENOMEM;
    if (r >= 0)
        ws_conn_set_message_max(ws, WS_MESSAGE_MAX);
    return r;
}
