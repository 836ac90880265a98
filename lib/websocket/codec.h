/* SPDX-License-Identifier: MIT */
/* WebSocket framing (RFC 6455 §5–§8) without I/O, either role, no extensions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

#define WS_HEADER_MAX 14
#define WS_CONTROL_MAX 125

typedef enum WsRole {
    WS_SERVER, /* gets masked frames, sends unmasked ones */
    WS_CLIENT,
} WsRole;

typedef enum WsOpcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
} WsOpcode;

typedef struct Utf8State {
    uint8_t need;      /* continuation bytes still to come */
    uint8_t low, high; /* what the next frame may be */
} Utf8State;

/* Fields belong to codec.c. Little state for the many idle connections of a gateway. */
typedef struct WsDecoder {
    Buf message; /* released after each message */
    uint64_t left;
    size_t message_max;
    uint32_t fragments;
    Utf8State utf8;
    uint16_t close_code; /* after a failure: what to close with */
    uint8_t role;
    uint8_t state;
    uint8_t opcode;         /* of the frame */
    uint8_t message_opcode; /* of the message being received, 0 = none */
    bool final;
    uint8_t head_len, head_need;
    uint8_t control_len;
    uint8_t mask_at;
    uint8_t mask[4];
    uint8_t head[WS_HEADER_MAX];
    uint8_t control[WS_CONTROL_MAX + 1];
} WsDecoder;

/* A whole message or control frame. data is good until the next call, and NUL-terminated unless it is binary. */
typedef struct WsEvent {
    WsOpcode opcode;
    const uint8_t *data; /* close: the reason */
    size_t len;
    uint16_t code; /* close: the code, 1005 when there was none */
} WsEvent;

void ws_decoder_init(WsDecoder *d, WsRole role, size_t message_max);
void ws_decoder_done(WsDecoder *d);

/* Takes *used of the bytes. 1: *ret happened, call again with the rest; 0: all taken, more is needed. Negative: the peer
 * broke the rules, d->close_code says how to close, and nothing more is decoded: ws.protocol (1002), ws.not-utf8 (1007),
 * ws.too-large (1009). After a close frame everything is swallowed. */
int ws_decode(WsDecoder *d, const uint8_t *data, size_t len, size_t *used, WsEvent *ret, Error *err) _must_check_;

/* Mask keys from the kernel's generator, drawn in bulk (RFC 6455 §10.3). Start from `= {}`. */
typedef struct WsMasks {
    uint8_t bytes[256];
    size_t left;
} WsMasks;

/* The size of one final frame, and writing it: a message in two pieces, each copied (and masked) once. */
size_t ws_frame_size(const WsMasks *masks, size_t len);
void ws_frame_write(uint8_t *at, WsMasks *masks, WsOpcode opcode, const void *head, size_t head_len, const void *data,
                    size_t len);
/* Appends one final frame; masks != NULL makes it a client's. */
int ws_encode(Buf *out, WsMasks *masks, WsOpcode opcode, const void *data, size_t len) _must_check_;
/* Appends any frame, for callers that fragment. */
int ws_encode_frame(Buf *out, WsMasks *masks, WsOpcode opcode, bool final, const void *data, size_t len) _must_check_;
/* The payload of a close frame: code and as much of the reason as fits in whole characters. Returns its length. */
size_t ws_close_payload(uint16_t code, const char *reason, uint8_t ret[static WS_CONTROL_MAX]);

/* Whether a peer may send it (RFC 6455 §7.4, and 1012–1014 of the IANA registry). */
bool ws_close_code_is_valid(uint16_t code);

/* Feeds text piece by piece; false as soon as it cannot become valid (RFC 3629). Whole when u->need is 0. */
bool utf8_feed(Utf8State *u, const uint8_t *data, size_t len);
