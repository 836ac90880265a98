/* SPDX-License-Identifier: MIT */
/* What the files of the mux share. Each stream keeps absolute positions: how much was received, and how much may be
 * sent to us; how much the peer has confirmed, how much was sent, and how much it allows. After a reconnect the two
 * sides tell them to each other. */
#pragma once

#include "lib/base/limits.h"
#include "lib/base/lifetime.h"
#include "lib/mux/frame.h"
#include "lib/mux/ring.h"

/* A new stream gets at least this much, no matter how much the others have. */
#define MUX_WINDOW_MIN ((size_t) 16 * 1024)
/* What may be queued beyond what the peer allows. */
#define MUX_QUEUE_AHEAD ((size_t) 64 * 1024)
/* A stream with no more than this many bytes waiting is taken for one that somebody types into. */
#define MUX_SMALL_BACKLOG 4096
/* Streams that moved data within this time share the connection; a receipt may be this late, too. */
#define MUX_ACTIVE USEC_PER_SEC
#define MUX_RECEIPT_DELAY USEC_PER_SEC
/* How many farewells are remembered after they were sent, and how many may wait: the peer causes them. */
#define MUX_FAREWELLS_KEPT 16
#define MUX_FAREWELLS_MAX 64

/* The last frame about a stream that is gone: a reset, or the credit that confirms its half-close. It is sent again
 * when the peer asks about the stream on a later connection. */
typedef struct MuxFarewell {
    struct MuxFarewell *next;
    MuxKind kind;
    bool is_sent;
    usec_t at; /* it was made, or sent */
    uint32_t stream;
    uint64_t position;
    size_t len;
    uint8_t data[];
} MuxFarewell;

struct MuxStream {
    Mux *mux;
    MuxStream *next_gone;
    const MuxStreamEvents *events;
    void *userdata;
    char *open;  /* of ours until it is accepted: its JSON; owned */
    char *ended; /* the peer took back what it offered before that was answered: why; owned */
    uint32_t id;
    char token[MUX_TOKEN_SIZE];
    bool is_ours;
    bool is_accepted;
    bool is_gone;   /* not in mux->streams any more */
    bool was_said;  /* the peer may have heard of it */
    bool is_said;   /* on this connection */
    bool is_linked; /* the peer has said it on this connection */
    bool open_due, resume_due, credit_due;
    usec_t active_at;
    usec_t lost_at; /* when it is lost unless it is linked; 0 = it is */

    uint64_t received, consumed, limit;
    bool in_ended, end_reported;
    bool is_short; /* it needs more window than it had */
    size_t window;
    uint64_t measured_from; /* consumed, at … */
    usec_t measured_at;
    usec_t receipt_at; /* when the peer must hear what was received; 0 = it knows */

    MuxRing ring; /* from confirmed on */
    uint64_t confirmed, next, sent_max, peer_limit;
    bool is_finished, end_sent, end_was_sent, end_confirmed;
    bool wants_room;
    bool is_low;
    size_t deficit;
};

struct Mux {
    MuxOptions options;
    MuxStream *streams[MUX_STREAMS_MAX]; /* with gaps, so that callbacks may remove any */
    MuxStream *gone;                     /* freed when nothing is running on them any more */
    MuxFarewell *farewells;
    uint8_t scratch[MUX_RESUME_MAX];
    usec_t now, rtt;
    uint32_t next_id, peer_id;           /* the highest of the peer on this connection */
    unsigned turn, small_turn, low_turn; /* indices of streams: who is next */
    size_t small_bytes;                  /* sent past waiting bulk */
    bool turn_paid;
    bool is_attached;
    Lifetime life;
    bool is_told; /* on_sendable was called */
    bool tick_due;
    bool is_broken; /* a farewell could not be kept: only a new connection makes both sides agree */
    bool away, away_due, peer_away;
};

/* mux.c */
void mux_touch(Mux *m, usec_t now);
void mux_release(Mux *m);
/* Calls on_sendable if that is due. The mux may be gone afterwards, unless it is held. */
void mux_wake(Mux *m);
MuxStream *mux_find(const Mux *m, uint32_t id);
/* -EMFILE, -ENOMEM. In the list, with a window. */
int mux_stream_new(Mux *m, uint32_t id, bool is_ours, MuxStream **ret);
/* Removes it from the list, with the farewell `kind` (0 = none). */
void mux_stream_remove(MuxStream *s, MuxKind kind, const char *reason);
/* The same, and on_closed. Only while the mux is held, and not from a function on a stream. */
void mux_stream_close(MuxStream *s, MuxKind kind, const char *reason);
/* Makes the calls that are possible now: on_room, and on_closed of streams that were accepted too late. */
void mux_settle(Mux *m);

/* farewell.c */
int mux_farewell_reset(Mux *m, uint32_t id, const char *reason);
/* Sends the credit that confirms the peer's half-close, if that was not done yet; it is remembered in any case. */
int mux_farewell_end(const MuxStream *s);
MuxFarewell *mux_farewell_find(const Mux *m, uint32_t id);
/* The oldest that waits. */
MuxFarewell *mux_farewell_next(const Mux *m);
void mux_farewell_sent(Mux *m, MuxFarewell *f);
bool mux_farewells_full(const Mux *m);
/* Forgets those that no peer can ask about any more, since it has lost the streams, too. Returns when there will be
 * more to forget. */
usec_t mux_farewells_tick(Mux *m);
void mux_farewells_clear(Mux *m);

/* byte-stream.c */
uint64_t mux_stream_tail(const MuxStream *s); /* after the last byte that was written */
size_t mux_stream_room(const MuxStream *s);

/* credit.c */
void mux_window_init(MuxStream *s);
bool mux_credit_is_due(const MuxStream *s);
/* Grows the window if the stream has outrun it, and raises the limit for a credit or resume that goes out now. */
void mux_window_raise(MuxStream *s);

/* schedule.c */
size_t mux_stream_sendable(const MuxStream *s);
