/* SPDX-License-Identifier: MIT */
/* Two muxes back to back: frames wait on the wire until they are delivered, or are lost with the connection. */
#pragma once

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/mux/mux-impl.h"

#define WIRE_MAX 65536

typedef struct WireFrame {
    size_t len;
    uint8_t data[];
} WireFrame;

typedef struct User {
    MuxStream *stream; /* NULL once it is closed or reset */
    Buf in;
    bool hold; /* consumes nothing by itself */
    bool reset_on_data;
    unsigned accepted, ended, closed, rooms;
    char reason[160]; /* "" for none */
} User;

typedef struct End {
    Mux *mux;
    WireFrame **wire; /* what it sent and the other has not received */
    size_t sent, delivered;
    unsigned calls;
    User *next; /* takes the stream that the peer opens next; NULL: it waits in `offered` */
    const char *refuse;
    MuxStream *offered;
    char open[MUX_OPEN_MAX + 1];
} End;

typedef struct Pair {
    End box, gateway;
    usec_t now;
} Pair;

static inline void user_data(MuxStream *s, const uint8_t *data, size_t len, void *userdata)
{
    User *u = userdata;
    assert_ptr_equal(s, u->stream);
    assert_int_equal(u->ended, 0);
    assert_int_equal(buf_append(&u->in, data, len), 0);
    if (u->reset_on_data) {
        mux_stream_reset(s, "test.enough");
        u->stream = NULL;
    } else if (!u->hold) {
        mux_stream_consumed(s, len);
    }
}

static inline void user_accepted(MuxStream *s, void *userdata)
{
    User *u = userdata;
    assert_ptr_equal(s, u->stream);
    u->accepted++;
}

static inline void user_room(MuxStream *s, void *userdata)
{
    User *u = userdata;
    assert_ptr_equal(s, u->stream);
    u->rooms++;
}

static inline void user_end(MuxStream *s, void *userdata)
{
    User *u = userdata;
    assert_ptr_equal(s, u->stream);
    u->ended++;
}

static inline void user_closed(MuxStream *s, const char *reason, void *userdata)
{
    User *u = userdata;
    assert_ptr_equal(s, u->stream);
    u->stream = NULL;
    u->closed++;
    snprintf(u->reason, sizeof u->reason, "%s", reason ? reason : "");
}

static const MuxStreamEvents user_events = {
    .on_accepted = user_accepted,
    .on_data = user_data,
    .on_room = user_room,
    .on_end = user_end,
    .on_closed = user_closed,
};

static inline void end_open(Mux *m _unused_, MuxStream *s, const cJSON *open, void *userdata)
{
    End *e = userdata;
    char *text = cJSON_PrintUnformatted(open);
    snprintf(e->open, sizeof e->open, "%s", text);
    free(text);
    if (e->refuse) {
        mux_stream_reset(s, e->refuse);
    } else if (e->next) {
        User *u = e->next;
        e->next = NULL;
        u->stream = s;
        mux_stream_accept(s, &user_events, u);
    } else {
        e->offered = s;
    }
}

static inline void end_sendable(Mux *m _unused_, void *userdata)
{
    ((End *) userdata)->calls++;
}

static const MuxEvents end_events = { .on_open = end_open, .on_sendable = end_sendable };

static inline void end_init(End *e, MuxSide side, size_t initial, size_t max, size_t session)
{
    MuxOptions o = { .side = side,
                     .window_initial = initial,
                     .window_max = max,
                     .session_max = session,
                     .events = &end_events,
                     .userdata = e };
    *e = (End) { .wire = calloc(WIRE_MAX, sizeof *e->wire) };
    assert_non_null(e->wire);
    assert_int_equal(mux_new(&o, &e->mux), 0);
}

static inline void pair_init_sized(Pair *p, size_t initial, size_t max, size_t session)
{
    p->now = 1000 * USEC_PER_SEC;
    end_init(&p->box, MUX_CLIENT, initial, max, session);
    end_init(&p->gateway, MUX_GATEWAY, initial, max, session);
    mux_attach(p->box.mux, p->now);
    mux_attach(p->gateway.mux, p->now);
}

static inline void pair_init(Pair *p)
{
    pair_init_sized(p, MUX_WINDOW_INITIAL, MUX_WINDOW_MAX, MUX_SESSION_MAX_BOX);
}

static inline void end_done(End *e)
{
    mux_free(e->mux);
    for (size_t i = 0; i < e->sent; i++)
        free(e->wire[i]);
    free(e->wire);
}

static inline void pair_done(Pair *p)
{
    end_done(&p->box);
    end_done(&p->gateway);
}

/* One frame onto the wire; NULL when there is none. */
static inline WireFrame *end_pull(Pair *p, End *e)
{
    uint8_t header[MUX_HEADER_SIZE];
    const uint8_t *data;
    size_t len;
    bool sendable = mux_is_sendable(e->mux);
    int r = mux_pull(e->mux, p->now, header, &data, &len);
    assert_int_equal(r, sendable);
    if (r == 0)
        return NULL;
    WireFrame *f = malloc(sizeof *f + sizeof header + len);
    assert_non_null(f);
    f->len = sizeof header + len;
    memcpy(f->data, header, sizeof header);
    if (len > 0)
        memcpy(f->data + sizeof header, data, len);
    assert_true(e->sent < WIRE_MAX);
    e->wire[e->sent++] = f;
    return f;
}

/* One frame off the wire. */
static inline bool end_deliver(Pair *p, End *from)
{
    End *to = from == &p->box ? &p->gateway : &p->box;
    Error err = {};
    if (from->delivered == from->sent)
        return false;
    WireFrame *f = from->wire[from->delivered++];
    /* from memory of its own size, so that reading behind it is seen */
    int r = mux_feed(to->mux, f->data, f->len, p->now, &err);
    if (r < 0)
        fail_msg("%s", error_message(&err, r));
    error_done(&err);
    return true;
}

static inline void end_flush_wire(End *e)
{
    for (size_t i = 0; i < e->sent; i++)
        free(e->wire[i]);
    e->sent = e->delivered = 0;
}

/* Until neither has anything to say. */
static inline void pair_run(Pair *p)
{
    for (bool again = true; again;) {
        again = end_pull(p, &p->box) != NULL;
        again |= end_pull(p, &p->gateway) != NULL;
        again |= end_deliver(p, &p->box);
        again |= end_deliver(p, &p->gateway);
    }
    end_flush_wire(&p->box);
    end_flush_wire(&p->gateway);
}

/* The connection ends; what is on the wire is lost. */
static inline void pair_cut(Pair *p)
{
    end_flush_wire(&p->box);
    end_flush_wire(&p->gateway);
    mux_detach(p->box.mux, p->now);
    mux_detach(p->gateway.mux, p->now);
}

static inline void pair_connect(Pair *p)
{
    mux_attach(p->box.mux, p->now);
    mux_attach(p->gateway.mux, p->now);
}

static inline void user_init(User *u)
{
    *u = (User) { .in = BUF_INIT(128 * 1024 * 1024) };
}

static inline void user_done(User *u)
{
    buf_done(&u->in);
}

/* The gateway opens a stream to the box, and it is there at both ends. */
static inline void pair_open(Pair *p, User *gateway, User *box)
{
    user_init(gateway);
    user_init(box);
    p->box.next = box;
    cJSON *open = cJSON_CreateObject();
    cJSON_AddStringToObject(open, "target", "ssh");
    assert_int_equal(mux_open(p->gateway.mux, open, &user_events, gateway, &gateway->stream), 0);
    cJSON_Delete(open);
    pair_run(p);
    assert_int_equal(gateway->accepted, 1);
    assert_non_null(box->stream);
}

/* A frame that no mux of ours would send, to `to`. */
static inline int inject(Pair *p, End *to, MuxKind kind, unsigned flags, uint32_t stream, uint64_t position,
                         const void *data, size_t len)
{
    _cleanup_(freep) uint8_t *frame = malloc(MUX_HEADER_SIZE + len);
    MuxFrame f = { .kind = kind, .flags = (uint8_t) flags, .stream = stream, .position = position };
    Error err = {};
    assert_non_null(frame);
    mux_frame_encode(&f, frame);
    if (len > 0)
        memcpy(frame + MUX_HEADER_SIZE, data, len);
    int r = mux_feed(to->mux, frame, MUX_HEADER_SIZE + len, p->now, &err);
    if (r < 0)
        assert_string_equal(error_id(&err), "mux.protocol");
    error_done(&err);
    return r;
}

static inline int inject_text(Pair *p, End *to, MuxKind kind, uint32_t stream, uint64_t position, const char *text)
{
    return inject(p, to, kind, 0, stream, position, text, strlen(text));
}

/* Bytes whose value says where they belong. */
static inline uint8_t byte_at(uint64_t position)
{
    return (uint8_t) (position * 151 + (position >> 8) * 7 + (position >> 16) * 3);
}

static inline void fill(uint8_t *data, size_t len, uint64_t position)
{
    for (size_t i = 0; i < len; i++)
        data[i] = byte_at(position + i);
}

static inline void assert_filled(const Buf *b)
{
    for (size_t i = 0; i < b->len; i++)
        if ((uint8_t) b->data[i] != byte_at(i))
            fail_msg("byte %zu of %zu is wrong", i, b->len);
}

/* Writes what comes next in such bytes. */
static inline size_t write_filled(User *u, size_t len)
{
    _cleanup_(freep) uint8_t *data = malloc(len);
    assert_non_null(data);
    fill(data, len, mux_stream_tail(u->stream));
    return mux_stream_write(u->stream, data, len);
}

static inline void pair_end(Pair *p, User *a, User *b)
{
    user_done(a);
    user_done(b);
    pair_done(p);
}
