/* SPDX-License-Identifier: MIT */
/* Byte streams with flow control inside one tunnel (docs/wire-format.md, "Binary frames"), without I/O and without a
 * clock: its owner feeds it the frames that have arrived, pulls those that are to be sent, and passes in `now`
 * (CLOCK_BOOTTIME). It outlives a connection: streams go on when it is attached to the next one within MUX_GRACE. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define MUX_HEADER_SIZE 16
#define MUX_TOKEN_SIZE 33 /* 16 random bytes in hexadecimal, with NUL */
/* How long a stream lives without a connection. */
#define MUX_GRACE (90 * USEC_PER_SEC)

typedef struct Mux Mux;
typedef struct MuxStream MuxStream;

typedef enum MuxSide {
    MUX_CLIENT,  /* box or operator: opens streams with even ids */
    MUX_GATEWAY, /* opens streams with odd ids */
} MuxSide;

typedef struct MuxEvents {
    /* The peer asks for a stream. `open` is what it said (target, grant, …), borrowed. Answer with mux_stream_accept() or
     * mux_stream_reset(), now or later: the answer may come even after the peer has taken its request back
     * (mux_stream_set_events() lets its user hear of that). NULL: every stream is refused with "stream.no-target". */
    void (*on_open)(Mux *m, MuxStream *s, const cJSON *open, void *userdata);
    /* There is something to pull, or mux_tick() has something to do: make sure that mux_pull() is called when the
     * connection can take a frame, and mux_tick() afterwards. Called from any function below that creates something to
     * send, and then not again until mux_pull() has returned 0. */
    void (*on_sendable)(Mux *m, void *userdata);
} MuxEvents;

/* All run inside mux_feed(), mux_attach() or mux_tick(), never inside a function on a stream. Each may reset or free any
 * stream. */
typedef struct MuxStreamEvents {
    void (*on_accepted)(MuxStream *s, void *userdata); /* ours was accepted; may be NULL */
    /* Bytes in order. The consumer reports what it has dealt with by mux_stream_consumed(), now or later; until then
     * the bytes count against the window, so it never has more than one window to deal with. */
    void (*on_data)(MuxStream *s, const uint8_t *data, size_t len, void *userdata);
    void (*on_room)(MuxStream *s, void *userdata); /* there is room again after a write that was cut short */
    void (*on_end)(MuxStream *s, void *userdata);  /* the peer will send no more; may be NULL */
    /* Once, last; the stream is freed afterwards. reason NULL: both directions ended and all was received; else the id
     * the peer gave ("grant.revoked"), or "stream.lost" (no connection within MUX_GRACE), "stream.window". */
    void (*on_closed)(MuxStream *s, const char *reason, void *userdata);
} MuxStreamEvents;

typedef struct MuxOptions {
    MuxSide side;
    size_t window_initial; /* bytes that a new stream may be sent; MUX_WINDOW_INITIAL */
    size_t window_max;     /* to which it may grow; MUX_WINDOW_MAX */
    size_t session_max;    /* sum of all windows; MUX_SESSION_MAX_BOX or _GATEWAY */
    const MuxEvents *events;
    void *userdata;
} MuxOptions;

int mux_new(const MuxOptions *options, Mux **ret) _must_check_;
/* Frees the streams without calling back. NULL-safe; allowed inside callbacks. */
Mux *mux_free(Mux *m);
DEFINE_CLEANUP(Mux, mux_free)

/* There is a connection (the tunnel is up): streams are resumed on it. */
void mux_attach(Mux *m, usec_t now);
/* The connection is gone; nothing can be pulled until there is another. */
void mux_detach(Mux *m, usec_t now);

/* Takes one whole binary message. Negative: the peer broke the protocol in a way that only a new connection can mend
 * (mux.protocol, close with 1002): something that is not a frame. What concerns one stream only resets that stream. */
int mux_feed(Mux *m, const uint8_t *frame, size_t len, usec_t now, Error *err) _must_check_;

/* The next frame to send, by priority: control, then streams with small backlogs, then bulk in turn, then low ones; 4 KiB of data
 * at the most while several streams are active, nearly 16 KiB otherwise. 1: header and *ret_data (borrowed until the next call of
 * any function here; may be empty) make one frame, which counts as sent. 0: nothing now. */
int mux_pull(Mux *m, usec_t now, uint8_t header[static MUX_HEADER_SIZE], const uint8_t **ret_data, size_t *ret_len);
bool mux_is_sendable(const Mux *m);

/* Does what has become due; returns when it must be called again (CLOCK_BOOTTIME), USEC_INFINITY for not at all.
 * mux_feed(), mux_attach(), mux_detach() and whatever leads to on_sendable can make that earlier: call mux_tick() after
 * them. */
usec_t mux_tick(Mux *m, usec_t now);
/* The connection's round trip, for the growth of windows. */
void mux_set_rtt(Mux *m, usec_t rtt);

size_t mux_streams(const Mux *m);
/* No streams, and nothing that a peer might still ask about earlier ones: once there is no connection either, the mux
 * may be freed. If it were freed earlier, the peer would hear "stream.unknown" instead of how a stream ended. */
bool mux_is_idle(const Mux *m);
/* Refuses new streams from now on and tells the peer; those that are open go on. */
void mux_go_away(Mux *m);

/* Asks for a stream; `open` (target, grant, …; copied) gets token and window added. Events follow. -EMFILE when
 * MUX_STREAMS_MAX are open, -ENOTCONN after a go-away, -EMSGSIZE when open is over MUX_OPEN_MAX as text. */
int mux_open(Mux *m, const cJSON *open, const MuxStreamEvents *events, void *userdata, MuxStream **ret) _must_check_;
/* Takes what on_open offered. */
void mux_stream_accept(MuxStream *s, const MuxStreamEvents *events, void *userdata);

/* Hands a stream to another user; on one that was not accepted yet only on_closed can follow. */
void mux_stream_set_events(MuxStream *s, const MuxStreamEvents *events, void *userdata);

/* Queues what there is room for and says how much that was; on_room follows when it was less than len. Data may be
 * written before the stream is accepted. */
size_t mux_stream_write(MuxStream *s, const void *data, size_t len);
/* The same without a copy: where to put at most *ret_len bytes (0 = no room, on_room follows), then how many were. No other
 * function on this mux may be called in between. */
uint8_t *mux_stream_reserve(MuxStream *s, size_t *ret_len);
void mux_stream_commit(MuxStream *s, size_t len);
/* This many bytes of on_data have been dealt with: gives the peer credit. */
void mux_stream_consumed(MuxStream *s, size_t len);
/* What was written and did not go out yet. */
size_t mux_stream_waiting(const MuxStream *s);
/* What is written to it goes only while no other stream has anything to send, and in small frames: video, beside which a shell
 * stays quick. */
void mux_stream_set_low(MuxStream *s);
/* Ends our direction after what is queued. */
void mux_stream_finish(MuxStream *s);
/* Ends both at once; reason is a stable id. on_closed is not called; the stream is freed. */
void mux_stream_reset(MuxStream *s, const char *reason);

Mux *mux_stream_mux(const MuxStream *s);
/* Payload bytes so far: sent by us and received by the peer; received by us. */
uint64_t mux_stream_sent(const MuxStream *s);
uint64_t mux_stream_received(const MuxStream *s);
