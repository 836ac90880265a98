/* SPDX-License-Identifier: MIT */
/* One WebSocket connection (RFC 6455, no extensions) over a stream, in either role, with a bounded send queue. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct WsConn WsConn;

/* Close codes of RFC 6455 §7.4.1 that we send or report. */
enum {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_GONE = 1006, /* never sent: it stands for a peer that went away without a word */
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_RESTART = 1012,
    WS_CLOSE_TRY_LATER = 1013,
};

typedef struct WsEvents {
    /* A whole message; text is valid UTF-8 and NUL-terminated. Binary frames are the mux's (wire-format.md). */
    void (*on_text)(WsConn *c, const char *text, size_t len, void *userdata);
    void (*on_binary)(WsConn *c, const uint8_t *data, size_t len, void *userdata); /* NULL: closes with 1003 */
    /* Once, last: the connection is over; code is the peer's close code, ours when we refused what it did, 1006 when it
     * just went away. err says why. The owner frees the connection here or later. */
    void (*on_closed)(WsConn *c, uint16_t code, const Error *err, void *userdata);
    /* The queue has drained below half of its limit after a send was refused. May be NULL. */
    void (*on_drained)(WsConn *c, void *userdata);
    /* Asked for by ws_conn_want_write(): nothing is queued and the socket takes more. May be NULL. */
    void (*on_writable)(WsConn *c, void *userdata);
} WsEvents;

/* Without streams, and with (ws_conn_set_busy). */
#define WS_PING_IDLE (25 * USEC_PER_SEC)
#define WS_DEAD_IDLE (60 * USEC_PER_SEC)
#define WS_PING_BUSY (10 * USEC_PER_SEC)
#define WS_DEAD_BUSY (15 * USEC_PER_SEC)

/* Makers are ws_accept() (server, accept.h), ws_connect() (client, connect.h) and the tunnel (client, tunnel.h). */
void ws_conn_set_events(WsConn *c, const WsEvents *events, void *userdata);

/* Queues one text message. -ENOBUFS when the queue is full (nothing was queued), -ENOTCONN after close, -EMSGSIZE over
 * WS_MESSAGE_MAX, -EILSEQ when it is not UTF-8. */
int ws_conn_send_text(WsConn *c, const char *text, size_t len) _must_check_;
int ws_conn_send_binary(WsConn *c, const uint8_t *data, size_t len) _must_check_;
/* One binary message in two pieces, each copied once. */
int ws_conn_send_frame(WsConn *c, const uint8_t *head, size_t head_len, const uint8_t *data, size_t len) _must_check_;

/* While wanted, on_writable is called from the loop whenever it may be. */
void ws_conn_want_write(WsConn *c, bool want);
/* Bytes that wait: in our queue and, not sent yet, in the socket. */
size_t ws_conn_unsent(const WsConn *c);

/* Starts the closing handshake. What is queued is sent first; on_closed follows within 5 s. */
void ws_conn_close(WsConn *c, uint16_t code, const char *reason);

/* Pings after `interval` without received data (±20 % jitter); the connection is dead after a time of `dead` in which
 * nothing came in and nothing in the queue could be sent. A ping goes ahead of the messages that wait. */
void ws_conn_set_keepalive(WsConn *c, usec_t interval, usec_t dead);
/* The interval of this process's idle connections, WS_PING_IDLE unless something on the way ends what is silent for less; busy ones
 * ping no less often. */
void ws_set_idle_ping(usec_t interval);
usec_t ws_idle_ping(void);
/* Says whether streams are open on it: if so, it is watched more closely, and keeps buffers for bulk (stream.h). */
void ws_conn_set_busy(WsConn *c, bool busy);

/* Pings now, unless a ping is under way; ws_conn_rtt() follows. */
void ws_conn_ping(WsConn *c);
/* The latest round trip that was measured, 0 before the first. */
usec_t ws_conn_rtt(const WsConn *c);

/* How long a message from the peer may be from now on (WS_MESSAGE_MAX at first); a longer one closes with 1009. */
void ws_conn_set_message_max(WsConn *c, size_t max);

size_t ws_conn_queued_bytes(const WsConn *c);
/* Numeric address and port of the peer; borrowed. */
const char *ws_conn_peer(const WsConn *c);

/* Frees at once without a closing handshake and without calling back. NULL-safe. */
WsConn *ws_conn_free(WsConn *c);
DEFINE_CLEANUP(WsConn, ws_conn_free)
