/* SPDX-License-Identifier: MIT */
/* Streams that outlive their connections: cuts at every point, ends and resets that get lost, peers that have forgotten. */
#include "tests/unit/mux-pair.h"

#include "lib/base/strv.h"

static void reconnect(Pair *p)
{
    pair_cut(p);
    p->now += USEC_PER_SEC;
    pair_connect(p);
}

/* Frames of both directions until so many have moved. False: they came to rest before that. */
static bool move(Pair *p, unsigned frames)
{
    for (bool again = true; again;) {
        End *ends[] = { &p->gateway, &p->box };
        again = false;
        for (unsigned i = 0; i < 2; i++) {
            if (end_pull(p, ends[i])) {
                again = true;
                if (frames-- == 0)
                    return true;
            }
            if (end_deliver(p, ends[i])) {
                again = true;
                if (frames-- == 0)
                    return true;
            }
        }
    }
    return false;
}

/* A whole life: opened, used both ways, ended both ways. It is cut when `cut` frames were sent or received, and once
 * more `cut_again` later. Returns whether it came so far. */
static bool live(unsigned cut, unsigned cut_again)
{
    uint8_t data[70000];
    Pair p;
    User here, there;
    pair_init(&p);
    user_init(&here);
    user_init(&there);
    fill(data, sizeof data, 0);
    p.box.next = &there;
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &here, &here.stream), 0);
    assert_int_equal(mux_stream_write(here.stream, data, 65000), 65000);
    mux_stream_finish(here.stream);
    unsigned cuts[] = { cut, cut_again, UINT_MAX };
    bool far = false, answered = false;
    for (unsigned i = 0; i < 3; i++) {
        /* the box answers as soon as it can, wherever that is */
        while (move(&p, answered ? cuts[i] : 0)) {
            if (!answered && there.stream) {
                assert_int_equal(mux_stream_write(there.stream, data, sizeof data), sizeof data);
                mux_stream_finish(there.stream);
                answered = true;
            } else if (answered || cuts[i]-- == 0) {
                far = i == 1;
                break;
            }
        }
        reconnect(&p);
    }
    pair_run(&p);
    assert_int_equal(here.accepted, 1);
    assert_int_equal(here.in.len, sizeof data);
    assert_int_equal(there.in.len, 65000);
    assert_filled(&here.in);
    assert_filled(&there.in);
    assert_int_equal(here.ended + there.ended, 2);
    assert_int_equal(here.closed + there.closed, 2);
    assert_string_equal(here.reason, "");
    assert_string_equal(there.reason, "");
    assert_int_equal(mux_streams(p.box.mux) + mux_streams(p.gateway.mux), 0);
    pair_end(&p, &here, &there);
    return far;
}

static void test_cut_anywhere(void **state _unused_)
{
    unsigned cut = 0, lives = 0;
    for (bool far = true; far; cut++) {
        far = false;
        for (unsigned again = 0; live(cut, again); again++) {
            far = true;
            lives++;
        }
    }
    assert_true(cut > 20);
    assert_true(lives > 400);
}

/* The last confirmation is lost. Who had sent it has no stream any more, and can still say how it ended. */
static void test_end_lost(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    mux_stream_finish(here.stream);
    pair_run(&p);
    mux_stream_finish(there.stream);
    assert_int_equal(end_pull(&p, &p.box)->data[0], MUX_FRAME_HALF_CLOSE);
    assert_true(end_deliver(&p, &p.box));
    assert_int_equal(here.closed, 1);
    assert_int_equal(end_pull(&p, &p.gateway)->data[0], MUX_FRAME_CREDIT);
    assert_int_equal(there.closed, 0);
    pair_cut(&p);
    assert_false(mux_is_idle(p.gateway.mux));
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(there.closed, 1);
    assert_string_equal(there.reason, "");

    /* on a connection that holds it is forgotten after a while, unless it could not be said yet */
    p.now += MUX_GRACE;
    (void) mux_tick(p.gateway.mux, p.now);
    assert_true(mux_is_idle(p.gateway.mux));
    user_done(&here);
    user_done(&there);
    pair_open(&p, &here, &there);
    mux_stream_reset(here.stream, "test.over");
    p.now += MUX_GRACE;
    (void) mux_tick(p.gateway.mux, p.now);
    pair_run(&p);
    assert_string_equal(there.reason, "test.over");
    pair_end(&p, &here, &there);
}

static void test_reset_while_apart(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    pair_cut(&p);
    mux_stream_reset(here.stream, "grant.revoked");
    assert_null(end_pull(&p, &p.gateway));
    pair_connect(&p);
    pair_run(&p);
    assert_string_equal(there.reason, "grant.revoked");
    pair_end(&p, &here, &there);
}

static void test_reset_lost(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    mux_stream_reset(here.stream, "grant.revoked");
    assert_int_equal(end_pull(&p, &p.gateway)->data[0], MUX_FRAME_RESET);
    reconnect(&p);
    assert_null(end_pull(&p, &p.gateway));
    pair_run(&p);
    assert_string_equal(there.reason, "grant.revoked");
    user_done(&here);
    user_done(&there);

    /* a refusal that the opener never saw: it asks again, and nobody is bothered twice */
    user_init(&here);
    p.box.refuse = "bridge.busy";
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &here, &here.stream), 0);
    assert_non_null(end_pull(&p, &p.gateway));
    assert_true(end_deliver(&p, &p.gateway));
    assert_non_null(end_pull(&p, &p.box));
    p.box.refuse = NULL;
    reconnect(&p);
    pair_run(&p);
    assert_string_equal(here.reason, "bridge.busy");
    assert_null(p.box.offered);
    user_done(&here);
    pair_done(&p);
}

static void test_open_lost(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    user_init(&here);
    user_init(&there);
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &here, &here.stream), 0);
    assert_non_null(end_pull(&p, &p.gateway));
    reconnect(&p);
    pair_run(&p);
    there.stream = p.box.offered;
    assert_non_null(there.stream);

    /* offered, then cut, then accepted: before the opener has said it again, while apart, and after */
    for (unsigned when = 0; when < 3; when++) {
        here.accepted = 0;
        p.box.offered = NULL;
        if (when == 1)
            mux_stream_accept(there.stream, &user_events, &there);
        reconnect(&p);
        if (when == 0)
            mux_stream_accept(there.stream, &user_events, &there);
        pair_run(&p);
        if (when == 2)
            mux_stream_accept(there.stream, &user_events, &there);
        pair_run(&p);
        assert_null(p.box.offered);
        assert_int_equal(here.accepted, 1);
        assert_int_equal(mux_stream_write(there.stream, "banner", 6), 6);
        pair_run(&p);
        assert_string_equal(here.in.data, "banner");
        mux_stream_reset(here.stream, NULL);
        pair_run(&p);
        user_done(&here);
        user_done(&there);
        user_init(&here);
        user_init(&there);
        assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &here, &here.stream), 0);
        pair_run(&p);
        there.stream = p.box.offered;
    }
    pair_end(&p, &here, &there);
}

static void test_grace(void **state _unused_)
{
    Pair p;
    User here, there, late;
    pair_init(&p);
    pair_open(&p, &here, &there);
    mux_stream_write(here.stream, "x", 1);
    pair_cut(&p);
    assert_int_equal(mux_tick(p.gateway.mux, p.now), p.now + USEC_PER_SEC); /* for its memory */
    user_init(&late);
    p.gateway.calls = 0;
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &late, &late.stream), 0);
    assert_int_equal(p.gateway.calls, 1);
    (void) mux_tick(p.gateway.mux, p.now);

    /* on and off again does not make it longer, unless the peer is there */
    usec_t end = p.now + MUX_GRACE;
    p.now += 50 * USEC_PER_SEC;
    assert_int_equal(mux_tick(p.gateway.mux, p.now), end);
    pair_connect(&p);
    pair_cut(&p);
    p.now = end - 1;
    (void) mux_tick(p.gateway.mux, p.now);
    (void) mux_tick(p.box.mux, p.now);
    assert_int_equal(here.closed + there.closed, 0);
    p.now = end;
    usec_t next = mux_tick(p.gateway.mux, p.now);
    assert_string_equal(here.reason, "stream.lost");
    assert_int_equal(late.closed, 0); /* it was asked for again on each connection */
    assert_int_equal(next, p.now + 50 * USEC_PER_SEC);
    p.now = next;
    (void) mux_tick(p.gateway.mux, p.now);
    assert_string_equal(late.reason, "stream.lost");
    next = mux_tick(p.box.mux, p.now);
    assert_string_equal(there.reason, "stream.lost");
    assert_int_equal(mux_streams(p.box.mux) + mux_streams(p.gateway.mux), 0);

    /* nor is it kept for ever how they ended */
    assert_int_equal(next, p.now + MUX_GRACE);
    assert_false(mux_is_idle(p.box.mux));
    p.now = next;
    assert_int_equal(mux_tick(p.box.mux, p.now), USEC_INFINITY);
    assert_true(mux_is_idle(p.box.mux));
    pair_connect(&p);
    pair_run(&p);
    user_done(&late);
    pair_end(&p, &here, &there);
}

static void test_lost_at_one_side_only(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    /* the gateway sees the end of the connection much earlier */
    mux_detach(p.gateway.mux, p.now);
    p.now += MUX_GRACE;
    (void) mux_tick(p.gateway.mux, p.now);
    assert_int_equal(here.closed, 1);
    mux_detach(p.box.mux, p.now);
    pair_connect(&p);
    pair_run(&p);
    assert_string_equal(there.reason, "stream.lost");

    /* attached, but the peer never says the stream again */
    user_done(&here);
    user_done(&there);
    pair_open(&p, &here, &there);
    mux_detach(p.gateway.mux, p.now);
    mux_attach(p.gateway.mux, p.now);
    p.now += MUX_GRACE;
    (void) mux_tick(p.gateway.mux, p.now);
    assert_string_equal(here.reason, "stream.lost");
    pair_end(&p, &here, &there);
}

static void test_peer_restarts(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    mux_go_away(p.box.mux);
    pair_run(&p);
    pair_cut(&p);
    mux_free(p.box.mux);
    free(p.box.wire);
    end_init(&p.box, MUX_CLIENT, MUX_WINDOW_INITIAL, MUX_WINDOW_MAX, MUX_SESSION_MAX_BOX);
    pair_connect(&p);
    pair_run(&p);
    assert_string_equal(here.reason, "stream.unknown");
    user_done(&here);
    user_done(&there);

    /* the gateway restarts: its new streams are none of the old ones */
    pair_open(&p, &here, &there);
    pair_cut(&p);
    mux_free(p.gateway.mux);
    free(p.gateway.wire);
    end_init(&p.gateway, MUX_GATEWAY, MUX_WINDOW_INITIAL, MUX_WINDOW_MAX, MUX_SESSION_MAX_BOX);
    pair_connect(&p);
    User here2, there2;
    pair_open(&p, &here2, &there2);
    assert_string_equal(there.reason, "stream.unknown");
    assert_int_equal(mux_streams(p.box.mux), 1);
    user_done(&here2);
    user_done(&there2);
    pair_end(&p, &here, &there);
}

/* Resumes that no mux of ours would send. */
static void test_bad_resumes(void **state _unused_)
{
    static const struct {
        const char *name;
        const char *before, *behind; /* the token */
        uint64_t position;
        const char *reason; /* NULL: it goes on */
    } cases[] = {
        { "good", "{\"token\":\"", "\",\"ended\":false,\"limit\":\"262151\"}", 7, NULL },
        { "ended is false when it is missing", "{\"token\":\"", "\",\"limit\":262151}", 7, NULL },
        { "no limit", "{\"token\":\"", "\",\"ended\":false}", 7, "stream.bad-resume" },
        { "no token", "{\"x\":\"", "\",\"ended\":false,\"limit\":7}", 7, "stream.bad-resume" },
        { "no JSON", "\"", "\"", 7, "stream.bad-resume" },
        { "twice", "{\"limit\":7,\"token\":\"", "\",\"limit\":7}", 7, "stream.bad-resume" },
        { "another token", "{\"token\":\"0", "\",\"ended\":false,\"limit\":\"262151\"}", 7, "stream.unknown" },
        { "less than was confirmed", "{\"token\":\"", "\",\"ended\":false,\"limit\":\"262151\"}", 3, "stream.gap" },
        { "more than was sent", "{\"token\":\"", "\",\"ended\":false,\"limit\":\"262151\"}", 8, "stream.gap" },
        { "a limit behind", "{\"token\":\"", "\",\"ended\":false,\"limit\":\"6\"}", 7, "stream.gap" },
        { "a limit far ahead", "{\"token\":\"", "\",\"ended\":false,\"limit\":\"18446744073709551615\"}", 7,
          "stream.gap" },
        { "an end that was not sent", "{\"token\":\"", "\",\"ended\":true,\"limit\":\"262151\"}", 7, "stream.gap" },
    };
    for (unsigned i = 0; i < ELEMENTSOF(cases); i++) {
        Pair p;
        User here, there;
        pair_init(&p);
        pair_open(&p, &here, &there);
        assert_int_equal(mux_stream_write(here.stream, "seven..", 7), 7);
        pair_run(&p);
        (void) mux_tick(p.box.mux, p.now + USEC_PER_SEC);
        pair_run(&p);
        assert_int_equal(mux_stream_sent(here.stream), 7);
        reconnect(&p);
        _cleanup_(freep) char *json = str_format("%s%s%s", cases[i].before, here.stream->token, cases[i].behind);
        assert_int_equal(inject_text(&p, &p.gateway, MUX_FRAME_RESUME, here.stream->id, cases[i].position, json), 0);
        if (!str_equal(here.closed ? here.reason : NULL, cases[i].reason))
            fail_msg("%s: %s", cases[i].name, here.reason);
        pair_end(&p, &here, &there);
    }
}

/* Before a stream was said again, other frames about it count for nothing. */
static void test_frames_before_resume(void **state _unused_)
{
    static const uint8_t data[8] = { 1 };
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    mux_stream_write(here.stream, "x", 1);
    reconnect(&p);
    uint32_t id = here.stream->id;
    assert_int_equal(inject(&p, &p.gateway, MUX_FRAME_DATA, 0, id, 0, data, 8), 0);
    assert_int_equal(inject(&p, &p.gateway, MUX_FRAME_DATA, 0, id, 99, data, 8), 0);
    assert_int_equal(inject(&p, &p.gateway, MUX_FRAME_HALF_CLOSE, 0, id, 0, NULL, 0), 0);
    assert_int_equal(inject(&p, &p.gateway, MUX_FRAME_CREDIT, 0, id, 1, data, 8), 0);
    assert_int_equal(here.in.len + here.ended + here.closed, 0);
    User early;
    user_init(&early);
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &early, &early.stream), 0);
    assert_int_equal(inject(&p, &p.gateway, MUX_FRAME_CREDIT, 0, early.stream->id, 1, "\0\0\0\0\0\0\0", 8), 0);
    assert_int_equal(early.accepted + early.closed, 0);
    mux_stream_reset(early.stream, NULL);
    assert_int_equal(end_pull(&p, &p.gateway)->data[0], MUX_FRAME_RESUME);
    assert_null(end_pull(&p, &p.gateway));
    pair_run(&p);
    assert_string_equal(there.in.data, "x");

    /* a resume for a stream that we have not accepted, and an open again for one that we have used */
    user_done(&here);
    user_done(&there);
    user_init(&here);
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, &here, &here.stream), 0);
    pair_run(&p);
    _cleanup_(freep) char *json = str_format("{\"token\":\"%s\",\"ended\":false,\"limit\":9}", here.stream->token);
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_RESUME, here.stream->id, 0, json), 0);
    pair_run(&p);
    assert_string_equal(here.reason, "stream.unknown");
    mux_stream_reset(p.box.offered, NULL);
    user_done(&here);

    pair_open(&p, &here, &there);
    mux_stream_write(here.stream, "x", 1);
    pair_run(&p);
    reconnect(&p);
    _cleanup_(freep) char *open = str_format("{\"token\":\"%s\",\"window\":9}", here.stream->token);
    assert_int_equal(inject_text(&p, &p.box, MUX_FRAME_OPEN, here.stream->id, 0, open), 0);
    assert_string_equal(there.reason, "stream.gap");
    pair_end(&p, &here, &there);
}

static void test_feed_while_apart(void **state _unused_)
{
    Pair p;
    Error err = {};
    uint8_t header[MUX_HEADER_SIZE] = { MUX_FRAME_GO_AWAY };
    pair_init(&p);
    pair_cut(&p);
    assert_int_equal(mux_feed(p.box.mux, header, sizeof header, p.now, &err), -ENOTCONN);
    assert_string_equal(error_id(&err), "mux.detached");
    error_done(&err);
    pair_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_end_lost),
        cmocka_unit_test(test_reset_while_apart),
        cmocka_unit_test(test_reset_lost),
        cmocka_unit_test(test_open_lost),
        cmocka_unit_test(test_grace),
        cmocka_unit_test(test_lost_at_one_side_only),
        cmocka_unit_test(test_peer_restarts),
        cmocka_unit_test(test_bad_resumes),
        cmocka_unit_test(test_frames_before_resume),
        cmocka_unit_test(test_feed_while_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
