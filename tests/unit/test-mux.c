/* SPDX-License-Identifier: MIT */
/* Streams over one connection: opening, flow control, ends, and what a peer may not do. */
#include "tests/unit/mux-pair.h"

#include "lib/base/strv.h"
#include "lib/data/json.h"

#define TOKEN "\"token\":\"0123456789abcdef0123456789abcdef\""

static void test_hello(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    assert_non_null(strstr(p.box.open, "\"target\":\"ssh\""));
    assert_non_null(strstr(p.box.open, "\"window\":262144"));
    assert_int_equal(mux_streams(p.box.mux), 1);

    assert_int_equal(mux_stream_write(there.stream, "SSH-2.0", 7), 7);
    assert_int_equal(mux_stream_write(here.stream, "hello", 5), 5);
    pair_run(&p);
    assert_string_equal(here.in.data, "SSH-2.0");
    assert_string_equal(there.in.data, "hello");
    assert_int_equal(mux_stream_received(there.stream), 5);

    mux_stream_finish(here.stream);
    pair_run(&p);
    assert_int_equal(there.ended, 1);
    assert_int_equal(here.ended + here.closed + there.closed, 0);
    assert_int_equal(mux_stream_write(there.stream, "!", 1), 1);
    pair_run(&p);
    mux_stream_finish(there.stream);
    /* the half-close, its confirmation, and nothing else */
    assert_int_equal(end_pull(&p, &p.box)->data[0], MUX_FRAME_HALF_CLOSE);
    assert_true(end_deliver(&p, &p.box));
    assert_int_equal(end_pull(&p, &p.gateway)->data[0], MUX_FRAME_CREDIT);
    assert_true(end_deliver(&p, &p.gateway));
    assert_null(end_pull(&p, &p.box));
    assert_null(end_pull(&p, &p.gateway));
    assert_string_equal(here.in.data, "SSH-2.0!");
    assert_int_equal(here.closed, 1);
    assert_int_equal(there.closed, 1);
    assert_string_equal(here.reason, "");
    assert_string_equal(there.reason, "");
    assert_int_equal(mux_streams(p.box.mux) + mux_streams(p.gateway.mux), 0);
    user_done(&here);
    user_done(&there);
    pair_done(&p);
}

static void refused(Pair *p, End *by, const char *reason)
{
    User u;
    user_init(&u);
    Mux *m = by == &p->box ? p->gateway.mux : p->box.mux;
    assert_int_equal(mux_open(m, NULL, &user_events, &u, &u.stream), 0);
    pair_run(p);
    assert_int_equal(u.closed, 1);
    assert_int_equal(u.accepted, 0);
    assert_string_equal(u.reason, reason);
    user_done(&u);
}

static void test_refusals(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    p.box.refuse = "bridge.busy";
    refused(&p, &p.box, "bridge.busy");
    p.box.refuse = "caf\xc3\xa9\n";
    refused(&p, &p.box, "caf???");
    p.box.refuse = "";
    refused(&p, &p.box, "stream.reset");
    p.box.refuse = NULL;
    pair_open(&p, &here, &there);

    mux_go_away(p.box.mux);
    mux_go_away(p.box.mux);
    MuxStream *s;
    assert_int_equal(mux_open(p.box.mux, NULL, &user_events, NULL, &s), -ENOTCONN);
    refused(&p, &p.box, "stream.going-away");
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, NULL, &s), -ENOTCONN);
    /* those that are open go on, also over a reconnect, where it is said again */
    pair_cut(&p);
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, NULL, &s), -ENOTCONN);
    assert_int_equal(mux_stream_write(here.stream, "x", 1), 1);
    pair_run(&p);
    assert_string_equal(there.in.data, "x");
    user_done(&here);
    user_done(&there);
    pair_done(&p);
}

static unsigned kinds_on_wire(const End *e, MuxKind kind)
{
    unsigned n = 0;
    for (size_t i = 0; i < e->sent; i++)
        n += e->wire[i]->data[0] == (uint8_t) kind;
    return n;
}

static void test_before_acceptance(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    user_init(&here);
    user_init(&there);
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &here, &here.stream), 0);
    assert_int_equal(write_filled(&here, 100 * 1024), MUX_QUEUE_AHEAD);
    mux_stream_finish(here.stream);
    assert_non_null(end_pull(&p, &p.gateway));
    assert_null(end_pull(&p, &p.gateway));
    assert_true(end_deliver(&p, &p.gateway));
    assert_non_null(p.box.offered);
    assert_null(end_pull(&p, &p.box));

    /* later, and with something to say */
    there.stream = p.box.offered;
    mux_stream_accept(there.stream, &user_events, &there);
    assert_int_equal(mux_stream_write(there.stream, "banner", 6), 6);
    assert_int_equal(end_pull(&p, &p.box)->data[0], MUX_FRAME_CREDIT);
    assert_int_equal(end_pull(&p, &p.box)->data[0], MUX_FRAME_DATA);
    pair_run(&p);
    assert_int_equal(here.accepted, 1);
    assert_string_equal(here.in.data, "banner");
    assert_int_equal(there.in.len, MUX_QUEUE_AHEAD);
    assert_filled(&there.in);
    assert_int_equal(there.ended, 1);
    pair_end(&p, &here, &there);
}

/* What an opener has to say before it was heard. */
static void test_too_early(void **state _unused_)
{
    static const struct {
        MuxKind kind;
        size_t len;
        const char *reason;
    } cases[] = { { MUX_FRAME_DATA, 1, "stream.window" }, { MUX_FRAME_HALF_CLOSE, 0, "stream.gap" } };
    for (unsigned i = 0; i < ELEMENTSOF(cases); i++) {
        Pair p;
        User here;
        pair_init(&p);
        user_init(&here);
        assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &here, &here.stream), 0);
        pair_run(&p);
        assert_int_equal(inject(&p, &p.box, cases[i].kind, 0, here.stream->id, 0, "x", cases[i].len), 0);
        pair_run(&p);
        assert_string_equal(here.reason, cases[i].reason);
        mux_stream_reset(p.box.offered, NULL);
        assert_null(end_pull(&p, &p.box));
        user_done(&here);
        pair_done(&p);
    }
}

static void test_taken_back_before_acceptance(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    user_init(&here);
    user_init(&there);
    for (unsigned how = 0; how < 4; how++) {
        there.closed = 0;
        assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &here, &here.stream), 0);
        pair_run(&p);
        there.stream = p.box.offered;
        if (how == 0)
            mux_stream_set_events(there.stream, &user_events, &there);
        mux_stream_reset(here.stream, "user.gone");
        pair_run(&p);
        assert_int_equal(there.closed, how == 0);
        assert_int_equal(mux_streams(p.box.mux), how != 0);
        p.box.calls = 0;
        if (how == 1)
            mux_stream_accept(there.stream, &user_events, &there);
        else if (how == 2)
            mux_stream_set_events(there.stream, &user_events, &there);
        else if (how == 3)
            mux_stream_reset(there.stream, "bridge.busy");
        assert_int_equal(p.box.calls, how == 1 || how == 2);
        assert_int_equal(there.closed, how == 0);
        assert_true(mux_tick(p.box.mux, p.now) >= p.now);
        assert_int_equal(there.closed, how != 3);
        assert_string_equal(there.reason, "user.gone");
        assert_int_equal(mux_streams(p.box.mux), 0);
        assert_null(end_pull(&p, &p.box));
    }
    pair_end(&p, &here, &there);
}

static void test_flow_control(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    there.hold = true;
    size_t n = write_filled(&here, 1024 * 1024);
    assert_int_equal(n, MUX_WINDOW_INITIAL + MUX_QUEUE_AHEAD);
    assert_int_equal(mux_stream_write(here.stream, "x", 1), 0);
    pair_run(&p);
    assert_int_equal(there.in.len, MUX_WINDOW_INITIAL);
    assert_int_equal(here.rooms, 0);

    /* less than a quarter is not worth a frame */
    mux_stream_consumed(there.stream, MUX_WINDOW_INITIAL / 4 - 1);
    assert_null(end_pull(&p, &p.box));
    mux_stream_consumed(there.stream, 1);
    assert_int_equal(end_pull(&p, &p.box)->data[0], MUX_FRAME_CREDIT);
    pair_run(&p);
    assert_int_equal(there.in.len, MUX_WINDOW_INITIAL + MUX_QUEUE_AHEAD);
    assert_int_equal(here.rooms, 1);
    size_t room;
    for (uint8_t *to; (to = mux_stream_reserve(here.stream, &room));) {
        fill(to, room, mux_stream_tail(here.stream));
        mux_stream_commit(here.stream, room);
    }
    mux_stream_consumed(there.stream, MUX_WINDOW_INITIAL / 4);
    pair_run(&p);
    assert_int_equal(here.rooms, 2);
    assert_non_null(mux_stream_reserve(here.stream, &room));
    assert_true(room <= MUX_WINDOW_INITIAL + MUX_QUEUE_AHEAD);
    mux_stream_commit(here.stream, 0);
    mux_stream_consumed(there.stream, SIZE_MAX); /* more than there was means all */
    pair_run(&p);

    /* a megabyte needs few credits, and they come first */
    there.hold = false;
    unsigned credits = 0, frames = 0;
    for (uint64_t left = 1024 * 1024; left > 0;) {
        left -= write_filled(&here, left < 65536 ? left : 65536);
        while (end_pull(&p, &p.gateway))
            assert_true(end_deliver(&p, &p.gateway));
        mux_stream_write(there.stream, "y", 1);
        for (WireFrame *f; (f = end_pull(&p, &p.box)); frames++)
            credits += f->data[0] == MUX_FRAME_CREDIT;
        while (end_deliver(&p, &p.box))
            ;
    }
    assert_in_range(credits, 8, 32);
    assert_filled(&there.in);
    assert_int_equal(mux_stream_sent(here.stream) / MUX_WINDOW_INITIAL,
                     mux_stream_received(there.stream) / MUX_WINDOW_INITIAL);
    pair_end(&p, &here, &there);
}

static void test_reset(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    write_filled(&here, 50000);
    assert_non_null(end_pull(&p, &p.gateway));
    mux_stream_reset(here.stream, "grant.revoked");
    assert_int_equal(mux_streams(p.gateway.mux), 0);
    pair_run(&p);
    assert_int_equal(there.in.len, MUX_FRAME_DATA_ALONE);
    assert_string_equal(there.reason, "grant.revoked");
    assert_int_equal(here.closed, 0);
    user_done(&here);
    user_done(&there);

    /* the receiver, in the middle of a frame, while more are on their way */
    pair_open(&p, &here, &there);
    there.reset_on_data = true;
    write_filled(&here, 50000);
    pair_run(&p);
    assert_int_equal(there.closed, 0);
    assert_string_equal(here.reason, "test.enough");
    assert_int_equal(mux_streams(p.box.mux) + mux_streams(p.gateway.mux), 0);
    pair_end(&p, &here, &there);
}

static void free_mux_on_data(MuxStream *s, const uint8_t *data _unused_, size_t len _unused_, void *userdata)
{
    End *e = userdata;
    mux_stream_reset(s, "test.x");
    e->mux = mux_free(e->mux);
}

static void test_free_in_a_callback(void **state _unused_)
{
    static const MuxStreamEvents events = { .on_data = free_mux_on_data };
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    mux_stream_set_events(there.stream, &events, &p.box);
    write_filled(&here, 10);
    assert_non_null(end_pull(&p, &p.gateway));
    assert_true(end_deliver(&p, &p.gateway));
    assert_null(p.box.mux);
    pair_end(&p, &here, &there);
}

static void pull_in_sendable(Mux *m, void *userdata)
{
    uint8_t header[MUX_HEADER_SIZE];
    const uint8_t *data;
    size_t len;
    while (mux_pull(m, 1, header, &data, &len) > 0)
        ++*(unsigned *) userdata;
}

static void test_sendable(void **state _unused_)
{
    static const MuxEvents events = { .on_sendable = pull_in_sendable };
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    p.gateway.calls = 0;
    mux_stream_write(here.stream, "a", 1);
    mux_stream_write(here.stream, "b", 1);
    mux_stream_finish(here.stream);
    assert_int_equal(p.gateway.calls, 1);
    pair_run(&p);
    assert_int_equal(p.gateway.calls, 1);
    mux_go_away(p.gateway.mux);
    assert_int_equal(p.gateway.calls, 2);
    pair_cut(&p);
    p.gateway.calls = 0;
    pair_connect(&p);
    assert_int_equal(p.gateway.calls, 1);
    pair_end(&p, &here, &there);

    unsigned frames = 0;
    Mux *m;
    MuxOptions o = { .side = MUX_CLIENT,
                     .window_initial = MUX_WINDOW_INITIAL,
                     .window_max = MUX_WINDOW_MAX,
                     .session_max = MUX_SESSION_MAX_BOX,
                     .events = &events,
                     .userdata = &frames };
    assert_int_equal(mux_new(&o, &m), 0);
    mux_attach(m, 1);
    MuxStream *s;
    assert_int_equal(mux_open(m, NULL, NULL, NULL, &s), 0);
    assert_int_equal(frames, 1);
    mux_stream_reset(s, NULL);
    assert_int_equal(frames, 2);
    mux_free(m);
}

static void test_idle_holds_nothing(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    assert_int_equal(mux_tick(p.box.mux, p.now), USEC_INFINITY);
    mux_stream_write(here.stream, "ls\n", 3);
    pair_run(&p);
    assert_int_equal(here.stream->ring.len, 3);
    /* no credit is due for that, but within a second it is told */
    usec_t at = mux_tick(p.box.mux, p.now);
    assert_true(at > p.now && at <= p.now + USEC_PER_SEC);
    p.now = at;
    mux_tick(p.box.mux, p.now);
    pair_run(&p);
    assert_int_equal(mux_stream_sent(here.stream), 3);
    assert_int_equal(mux_tick(p.box.mux, p.now), USEC_INFINITY);
    assert_int_equal(mux_tick(p.gateway.mux, p.now), USEC_INFINITY);
    assert_null(here.stream->ring.data);
    /* nor does a trickle put it off */
    mux_stream_write(here.stream, "a", 1);
    pair_run(&p);
    p.now += USEC_PER_SEC / 2;
    mux_stream_write(here.stream, "b", 1);
    pair_run(&p);
    p.now += USEC_PER_SEC / 2;
    (void) mux_tick(p.box.mux, p.now);
    pair_run(&p);
    assert_int_equal(mux_stream_sent(here.stream), 5);
    p.now += USEC_PER_SEC;
    /* nor does a read that found nothing leave anything behind */
    size_t room;
    assert_non_null(mux_stream_reserve(here.stream, &room));
    mux_stream_commit(here.stream, 0);
    assert_null(here.stream->ring.data);
    assert_non_null(mux_stream_reserve(here.stream, &room));
    (void) mux_tick(p.gateway.mux, p.now + USEC_PER_SEC);
    assert_null(here.stream->ring.data);
    p.now += USEC_PER_SEC;

    /* a credit tells it, too */
    there.hold = true;
    write_filled(&here, MUX_WINDOW_INITIAL / 4);
    pair_run(&p);
    assert_true(mux_tick(p.box.mux, p.now) <= p.now + USEC_PER_SEC);
    mux_stream_consumed(there.stream, MUX_WINDOW_INITIAL / 4);
    pair_run(&p);
    assert_int_equal(mux_tick(p.box.mux, p.now), USEC_INFINITY);

    /* what a copy leaves behind is made small when it rests */
    there.hold = true;
    write_filled(&here, MUX_WINDOW_INITIAL);
    pair_run(&p);
    mux_stream_consumed(there.stream, MUX_WINDOW_INITIAL);
    pair_run(&p);
    assert_int_equal(here.stream->ring.len, 0);
    const uint8_t *same = here.stream->ring.data;
    assert_non_null(same);
    write_filled(&here, 200 * 1024);
    p.now += USEC_PER_SEC / 2;
    pair_run(&p);
    assert_int_equal(
        inject(&p, &p.gateway, MUX_FRAME_CREDIT, 0, here.stream->id, here.stream->peer_limit, "\0\0\0\0\0\7\x40\2", 8),
        0);
    assert_ptr_equal(here.stream->ring.data, same); /* while it lasts, each burst uses it again */
    size_t left = here.stream->ring.len, cap = here.stream->ring.cap;
    assert_in_range(left, cap / 8 + 1, cap / 4);
    at = mux_tick(p.gateway.mux, p.now);
    (void) mux_tick(p.gateway.mux, at - 1);
    assert_int_equal(here.stream->ring.cap, cap);
    (void) mux_tick(p.gateway.mux, at);
    assert_int_equal(here.stream->ring.cap, left);
    pair_end(&p, &here, &there);
}

static void test_limits_of_opening(void **state _unused_)
{
    Pair p;
    User here, there;
    MuxStream *s[MUX_STREAMS_MAX + 1];
    char text[MUX_OPEN_MAX];
    pair_init(&p);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    cJSON *open = cJSON_CreateObject();
    cJSON_AddStringToObject(open, "token", "mine");
    assert_int_equal(mux_open(p.gateway.mux, open, &user_events, NULL, &s[0]), 0);
    assert_string_not_equal(s[0]->token, "mine");
    mux_stream_reset(s[0], NULL);
    assert_null(end_pull(&p, &p.gateway)); /* the peer has never heard of it */
    cJSON_AddStringToObject(open, "reason", text);
    assert_int_equal(mux_open(p.gateway.mux, open, &user_events, NULL, &s[0]), -EMSGSIZE);
    assert_int_equal(mux_streams(p.gateway.mux), 0);
    cJSON_Delete(open);

    /* the sixteen are of both sides together */
    pair_open(&p, &here, &there);
    for (unsigned i = 1; i < MUX_STREAMS_MAX; i++)
        assert_int_equal(mux_open(p.box.mux, NULL, NULL, NULL, &s[i]), 0);
    assert_int_equal(mux_open(p.box.mux, NULL, NULL, NULL, &s[0]), -EMFILE);
    mux_stream_reset(here.stream, NULL);
    User extra;
    user_init(&extra);
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &extra, &extra.stream), 0);
    assert_non_null(end_pull(&p, &p.gateway));
    assert_non_null(end_pull(&p, &p.gateway));
    while (end_deliver(&p, &p.gateway))
        ;
    /* one was free by then; the next is refused */
    assert_null(there.stream);
    assert_int_equal(mux_streams(p.box.mux), MUX_STREAMS_MAX);
    char json[128];
    snprintf(json, sizeof json, "{" TOKEN ",\"window\":5}");
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, UINT32_MAX, 0, json), 0);
    assert_int_equal(end_pull(&p, &p.box)->data[0], MUX_FRAME_RESET);
    assert_int_equal(memcmp(p.box.wire[0]->data + MUX_HEADER_SIZE, "stream.too-many", 15), 0);
    user_done(&extra);
    pair_end(&p, &here, &there);
}

static void test_bad_opens(void **state _unused_)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        { "no", "stream.bad-open" },
        { "[]", "stream.bad-open" },
        { "{}", "stream.bad-open" },
        { "{" TOKEN "}", "stream.bad-open" },
        { "{\"window\":5}", "stream.bad-open" },
        { "{" TOKEN ",\"window\":-5}", "stream.bad-open" },
        { "{" TOKEN ",\"window\":\"99999999999\"}", "stream.bad-open" },
        { "{" TOKEN ",\"window\":5,\"window\":5}", "stream.bad-open" },
        { "{\"token\":\"0123\",\"window\":5}", "stream.bad-open" },
        { "{\"token\":\"0123456789abcdef0123456789abcdeF\",\"window\":5}", "stream.bad-open" },
        { "{" TOKEN ",\"window\":5,\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
          "stream.bad-open" },
        { "{" TOKEN ",\"window\":\"5\"}", "test.refused" },
    };
    Pair p;
    pair_init(&p);
    p.box.refuse = "test.refused";
    for (uint32_t i = 0; i < ELEMENTSOF(cases); i++) {
        assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, 2 * i + 1, 0, cases[i].json), 0);
        WireFrame *f = end_pull(&p, &p.box);
        assert_non_null(f);
        assert_int_equal(f->data[0], MUX_FRAME_RESET);
        assert_int_equal(f->data[7], 2 * i + 1);
        assert_int_equal(f->len, MUX_HEADER_SIZE + strlen(cases[i].reason));
        assert_memory_equal(f->data + MUX_HEADER_SIZE, cases[i].reason, strlen(cases[i].reason));
    }
    /* an id that is over is not used again, nor one that was passed over: the last word about it is said once more */
    p.box.refuse = NULL;
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, 23, 0, "{" TOKEN ",\"window\":5}"), 0);
    assert_null(p.box.offered);
    assert_memory_equal(end_pull(&p, &p.box)->data + MUX_HEADER_SIZE, "test.refused", 12);
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, 101, 0, "{" TOKEN ",\"window\":5}"), 0);
    assert_non_null(p.box.offered);
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, 99, 0, "{" TOKEN ",\"window\":5}"), 0);
    assert_memory_equal(end_pull(&p, &p.box)->data + MUX_HEADER_SIZE, "stream.unknown", 14);
    /* the same again is nothing, another stream by its id ends it */
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, 101, 0, "{" TOKEN ",\"window\":5}"), 0);
    assert_null(end_pull(&p, &p.box));
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, 101, 0,
                                 "{\"token\":\"fedcba9876543210fedcba9876543210\",\"window\":5}"),
                     0);
    assert_memory_equal(end_pull(&p, &p.box)->data + MUX_HEADER_SIZE, "stream.unknown", 14);
    mux_stream_reset(p.box.offered, NULL);

    /* of those that were told only the last are remembered */
    p.box.refuse = "test.refused";
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, 201 + 2 * i, 0, "{" TOKEN ",\"window\":5}"), 0);
        assert_non_null(end_pull(&p, &p.box));
    }
    unsigned kept = 0;
    for (const MuxFarewell *f = p.box.mux->farewells; f; f = f->next)
        kept++;
    assert_int_equal(kept, MUX_FAREWELLS_KEPT);

    /* whose id is ours, and who never takes an answer */
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, 2, 0, "{" TOKEN ",\"window\":5}"), -EPROTO);
    int r = 0;
    unsigned n = 0;
    for (p.box.refuse = "test.refused"; r == 0 && n < 1000; n++)
        r = inject_text(&p, &p.box, MUX_FRAME_OPEN, 1001 + 2 * n, 0, "{" TOKEN ",\"window\":5}");
    assert_int_equal(r, -EPROTO);
    assert_int_equal(n, MUX_FAREWELLS_MAX + 1);
    pair_done(&p);
}

/* What ends the one stream of a session, and with which reason. */
static void test_bad_frames(void **state _unused_)
{
    static const struct {
        const char *name;
        MuxKind kind;
        unsigned flags;
        uint64_t position, received; /* received: payload of credit */
        size_t len;                  /* of data */
        const char *reason;          /* NULL: nothing happens */
    } cases[] = {
        { "old data", MUX_FRAME_DATA, 0, 0, 0, 5, NULL },
        { "old data in part", MUX_FRAME_DATA, 0, 3, 0, 2, NULL },
        { "gap", MUX_FRAME_DATA, 0, 6, 0, 1, "stream.gap" },
        { "beyond the window", MUX_FRAME_DATA, 0, MUX_WINDOW_INITIAL, 0, 1, "stream.window" },
        { "far", MUX_FRAME_DATA, 0, UINT64_MAX, 0, 1, "stream.window" },
        { "around", MUX_FRAME_DATA, 0, UINT64_MAX - 1, 0, 5, "stream.window" },
        { "old credit", MUX_FRAME_CREDIT, 0, 3, 2, 0, NULL },
        { "credit for what was not sent", MUX_FRAME_CREDIT, 0, MUX_WINDOW_INITIAL, 8, 0, "stream.credit" },
        { "less than was received", MUX_FRAME_CREDIT, 0, 6, 7, 0, "stream.credit" },
        { "absurd credit", MUX_FRAME_CREDIT, 0, UINT64_MAX, 7, 0, "stream.credit" },
        { "an end that was not sent", MUX_FRAME_CREDIT, MUX_FLAG_ENDED, MUX_WINDOW_INITIAL, 7, 0, "stream.credit" },
        { "half-close behind a gap", MUX_FRAME_HALF_CLOSE, 0, 6, 0, 0, "stream.gap" },
        { "half-close in front", MUX_FRAME_HALF_CLOSE, 0, 4, 0, 0, "stream.gap" },
        { "resume again", MUX_FRAME_RESUME, 0, 0, 0, 0, "stream.bad-resume" },
    };
    for (unsigned i = 0; i < ELEMENTSOF(cases); i++) {
        static const uint8_t zeros[MUX_FRAME_DATA_MAX];
        uint8_t received[8];
        Pair p;
        User here, there;
        pair_init(&p);
        pair_open(&p, &here, &there);
        write_filled(&here, 5);
        write_filled(&there, 7);
        pair_run(&p);
        uint32_t id = there.stream->id;
        mux_put_u64(received, cases[i].received);
        const void *data = cases[i].kind == MUX_FRAME_DATA     ? zeros
                           : cases[i].kind == MUX_FRAME_RESUME ? (void *) "{}"
                                                               : received;
        size_t len = cases[i].kind == MUX_FRAME_CREDIT ? 8 : cases[i].kind == MUX_FRAME_RESUME ? 2 : cases[i].len;
        assert_int_equal(inject(&p, &p.box, cases[i].kind, cases[i].flags, id, cases[i].position, data, len), 0);
        pair_run(&p);
        if (!str_equal(there.closed ? there.reason : NULL, cases[i].reason))
            fail_msg("%s: %s", cases[i].name, there.reason);
        if (cases[i].reason) {
            assert_string_equal(here.reason, cases[i].reason);
        } else {
            assert_int_equal(there.in.len, 5);
            assert_int_equal(here.closed, 0);
        }
        pair_end(&p, &here, &there);
    }
}

static void test_overlap(void **state _unused_)
{
    uint8_t data[100];
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    fill(data, sizeof data, 0);
    uint32_t id = there.stream->id;
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_DATA, 0, id, 0, data, 50), 0);
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_DATA, 0, id, 20, data + 20, 60), 0);
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_DATA, 0, id, 80, data + 80, 20), 0);
    assert_int_equal(there.in.len, 100);
    assert_filled(&there.in);
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_HALF_CLOSE, 0, id, 100, NULL, 0), 0);
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_HALF_CLOSE, 0, id, 100, NULL, 0), 0);
    assert_int_equal(there.ended, 1);
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_DATA, 0, id, 90, data + 90, 10), 0);
    assert_int_equal(there.closed, 0);
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_DATA, 0, id, 100, data, 1), 0);
    assert_string_equal(there.reason, "stream.gap");
    /* what is on its way about a stream that is over */
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_DATA, 0, id, 100, data, 1), 0);
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_CREDIT, 0, id, 100, data, 8), 0);
    assert_int_equal(inject(&p, &p.box, MUX_FRAME_HALF_CLOSE, 0, id, 100, NULL, 0), 0);
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_RESET, id, 0, "x"), 0);
    assert_int_equal(kinds_on_wire(&p.box, MUX_FRAME_RESET), 0);
    assert_int_equal(end_pull(&p, &p.box)->data[0], MUX_FRAME_RESET);
    assert_null(end_pull(&p, &p.box));
    pair_end(&p, &here, &there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_before_acceptance),
        cmocka_unit_test(test_too_early),
        cmocka_unit_test(test_taken_back_before_acceptance),
        cmocka_unit_test(test_flow_control),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_free_in_a_callback),
        cmocka_unit_test(test_sendable),
        cmocka_unit_test(test_idle_holds_nothing),
        cmocka_unit_test(test_limits_of_opening),
        cmocka_unit_test(test_bad_opens),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
