/* SPDX-License-Identifier: MIT */
/* Streams that share one connection: who sends next, and who may be sent how much. */
#include "tests/unit/mux-pair.h"

/* The stream id of a data frame, and its length. */
static uint32_t data_frame(const WireFrame *f, size_t *ret_len)
{
    MuxFrame frame;
    assert_non_null(f);
    assert_int_equal(mux_frame_decode(f->data, f->len, &frame, NULL), 0);
    assert_int_equal(frame.kind, MUX_FRAME_DATA);
    *ret_len = frame.len;
    return frame.stream;
}

static void test_a_keystroke_overtakes(void **state _unused_)
{
    Pair p;
    User bulk, bulk_there, shell, shell_there;
    size_t len;
    pair_init_sized(&p, 1024 * 1024, 1024 * 1024, 16 * 1024 * 1024);
    pair_open(&p, &bulk, &bulk_there);
    pair_open(&p, &shell, &shell_there);
    uint32_t bulk_id = bulk.stream->id, shell_id = shell.stream->id;

    assert_int_equal(write_filled(&bulk, 1024 * 1024), 1024 * 1024);
    assert_int_equal(data_frame(end_pull(&p, &p.gateway), &len), bulk_id);
    assert_int_equal(len, MUX_FRAME_DATA_ALONE);
    mux_stream_write(shell.stream, "l", 1);
    assert_int_equal(data_frame(end_pull(&p, &p.gateway), &len), shell_id);
    assert_int_equal(len, 1);
    /* for a second the copy is polite, and then it is alone again */
    assert_int_equal(data_frame(end_pull(&p, &p.gateway), &len), bulk_id);
    assert_int_equal(len, MUX_FRAME_DATA_SHARED);
    p.now += 2 * USEC_PER_SEC;
    assert_int_equal(data_frame(end_pull(&p, &p.gateway), &len), bulk_id);
    assert_int_equal(len, MUX_FRAME_DATA_ALONE);
    pair_run(&p);
    user_done(&shell);
    user_done(&shell_there);
    pair_end(&p, &bulk, &bulk_there);
}

static void test_nobody_starves(void **state _unused_)
{
    enum { SHELLS = 8 };
    Pair p;
    User bulk, bulk_there, shells[SHELLS], there[SHELLS];
    size_t len, small = 0, large = 0;
    pair_init(&p);
    pair_open(&p, &bulk, &bulk_there);
    for (unsigned i = 0; i < SHELLS; i++)
        pair_open(&p, &shells[i], &there[i]);
    uint32_t id = bulk.stream->id;
    write_filled(&bulk, 200 * 1024);
    /* each of them has always something small to send */
    for (unsigned i = 0; i < 1000; i++) {
        write_filled(&bulk, 65536);
        for (unsigned k = 0; k < SHELLS; k++)
            if (mux_stream_sendable(shells[k].stream) == 0)
                write_filled(&shells[k], 4096);
        uint32_t of = data_frame(end_pull(&p, &p.gateway), &len);
        *(of == id ? &large : &small) += len;
        assert_true(end_deliver(&p, &p.gateway));
        while (end_pull(&p, &p.box))
            assert_true(end_deliver(&p, &p.box));
    }
    assert_in_range(large, small / 20, small / 10);
    size_t least = SIZE_MAX, most = 0;
    for (unsigned i = 0; i < SHELLS; i++) {
        least = there[i].in.len < least ? there[i].in.len : least;
        most = there[i].in.len > most ? there[i].in.len : most;
        user_done(&shells[i]);
        user_done(&there[i]);
    }
    assert_true(most - least <= 4096);
    pair_end(&p, &bulk, &bulk_there);
}

/* Video waits for all else, a copy included, whatever little of it is left; two of it take turns, in small frames. */
static void test_low_streams_come_last(void **state _unused_)
{
    Pair p;
    User video, video_there, other, other_there, shell, shell_there;
    size_t len;
    pair_init_sized(&p, 1024 * 1024, 1024 * 1024, 16 * 1024 * 1024);
    pair_open(&p, &video, &video_there);
    pair_open(&p, &other, &other_there);
    pair_open(&p, &shell, &shell_there);
    uint32_t ids[] = { video.stream->id, other.stream->id };
    mux_stream_set_low(video.stream);
    mux_stream_set_low(other.stream);
    write_filled(&video, 100);
    write_filled(&other, 300 * 1024);
    assert_int_equal(mux_stream_waiting(video.stream), 100);
    write_filled(&shell, 40 * 1024);
    for (size_t sent = 0; sent < 40 * 1024; sent += len)
        assert_int_equal(data_frame(end_pull(&p, &p.gateway), &len), shell.stream->id);
    assert_int_equal(data_frame(end_pull(&p, &p.gateway), &len), ids[0]);
    assert_int_equal(mux_stream_waiting(video.stream), 0);
    write_filled(&video, 300 * 1024);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(data_frame(end_pull(&p, &p.gateway), &len), ids[(i + 1) % 2]);
        assert_int_equal(len, MUX_FRAME_DATA_SHARED);
    }
    mux_stream_write(shell.stream, "l", 1);
    assert_int_equal(data_frame(end_pull(&p, &p.gateway), &len), shell.stream->id);
    pair_run(&p);
    assert_int_equal(video_there.in.len, 100 + 300 * 1024);
    mux_stream_finish(video.stream);
    pair_run(&p);
    user_done(&video);
    user_done(&video_there);
    user_done(&other);
    user_done(&other_there);
    pair_end(&p, &shell, &shell_there);
}

static void test_bulk_in_turn(void **state _unused_)
{
    enum { COPIES = 4 };
    Pair p;
    User here[COPIES], there[COPIES];
    pair_init(&p);
    for (unsigned i = 0; i < COPIES; i++) {
        pair_open(&p, &here[i], &there[i]);
        there[i].hold = true;
        write_filled(&here[i], 1000 + i * 777);
    }
    pair_run(&p);
    /* rings whose ends cut frames, at a different place in each */
    for (unsigned i = 0; i < COPIES; i++) {
        mux_stream_consumed(there[i].stream, 500);
        there[i].hold = false;
        assert_int_equal(write_filled(&here[i], 240 * 1024), 240 * 1024);
    }
    for (unsigned i = 0; i < 120; i++) {
        assert_non_null(end_pull(&p, &p.gateway));
        assert_true(end_deliver(&p, &p.gateway));
    }
    for (unsigned i = 0; i < COPIES; i++)
        assert_in_range(there[i].in.len - (1000 + i * 777), 28 * 4096, 32 * 4096);
    pair_run(&p);
    for (unsigned i = 0; i < COPIES; i++) {
        assert_filled(&there[i].in);
        user_done(&here[i]);
        user_done(&there[i]);
    }
    pair_done(&p);
}

/* Copies for so many round trips of 20 ms, as fast as the windows let it. Returns bytes. */
static size_t copy(Pair *p, User *from, User *to, unsigned trips, usec_t trip)
{
    size_t before = to->in.len;
    for (unsigned i = 0; i < trips; i++) {
        while (write_filled(from, 65536) > 0)
            ;
        while (end_pull(p, &p->gateway))
            ;
        p->now += trip;
        while (end_deliver(p, &p->gateway))
            ;
        while (end_pull(p, &p->box))
            ;
        while (end_deliver(p, &p->box))
            ;
        end_flush_wire(&p->gateway);
        end_flush_wire(&p->box);
    }
    return to->in.len - before;
}

static size_t granted(const Mux *m)
{
    size_t sum = 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        if (m->streams[i]) {
            const MuxStream *s = m->streams[i];
            sum += (size_t) ((s->in_ended ? s->received : s->limit) - s->consumed);
        }
    return sum;
}

static void test_windows_grow(void **state _unused_)
{
    Pair p;
    User a, a_there, b, b_there;
    pair_init(&p);
    mux_set_rtt(p.box.mux, 20 * USEC_PER_MSEC);
    pair_open(&p, &a, &a_there);
    /* a slow path: half a window takes longer than two round trips */
    copy(&p, &a, &a_there, 8, 200 * USEC_PER_MSEC);
    assert_int_equal(a_there.stream->window, MUX_WINDOW_INITIAL);
    /* a fast one takes all but what is kept for others */
    copy(&p, &a, &a_there, 8, 20 * USEC_PER_MSEC);
    assert_in_range(a_there.stream->window, 3 * 1024 * 1024, MUX_SESSION_MAX_BOX - MUX_SESSION_MAX_BOX / 8);
    assert_true(copy(&p, &a, &a_there, 1, 20 * USEC_PER_MSEC) > 3 * 1024 * 1024);
    assert_true(granted(p.box.mux) <= MUX_SESSION_MAX_BOX);

    /* another one begins as usual, and takes its share of it */
    pair_open(&p, &b, &b_there);
    assert_int_equal(b_there.stream->window, MUX_WINDOW_INITIAL);
    size_t before = a_there.stream->window;
    copy(&p, &b, &b_there, 1, 20 * USEC_PER_MSEC);
    assert_true(b_there.stream->is_short && a_there.stream->window < before);
    before = a_there.stream->window;
    copy(&p, &a, &a_there, 2, 20 * USEC_PER_MSEC);
    assert_int_equal(a_there.stream->window, before);
    /* nobody waits for one that wanted more and then fell silent */
    p.now += 2 * USEC_PER_SEC;
    copy(&p, &a, &a_there, 2, 20 * USEC_PER_MSEC);
    assert_true(a_there.stream->window > before);
    for (unsigned i = 0; i < 10; i++) {
        copy(&p, &b, &b_there, 1, 10 * USEC_PER_MSEC);
        copy(&p, &a, &a_there, 1, 10 * USEC_PER_MSEC);
        assert_true(granted(p.box.mux) <= MUX_SESSION_MAX_BOX);
    }
    assert_in_range(b_there.stream->window, 1024 * 1024, a_there.stream->window + 1024 * 1024);

    /* and with its last byte it gives back what it had */
    mux_stream_finish(b.stream);
    pair_run(&p);
    copy(&p, &a, &a_there, 8, 20 * USEC_PER_MSEC);
    assert_true(a_there.stream->window >= 3 * 1024 * 1024);
    assert_filled(&a_there.in);
    assert_filled(&b_there.in);
    user_done(&b);
    user_done(&b_there);
    pair_end(&p, &a, &a_there);
}

static void test_session_is_bounded(void **state _unused_)
{
    Pair p;
    User here[MUX_STREAMS_MAX], there[MUX_STREAMS_MAX];
    pair_init_sized(&p, 256 * 1024, 1024 * 1024, 1024 * 1024);
    mux_set_rtt(p.box.mux, 20 * USEC_PER_MSEC);
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        pair_open(&p, &here[i], &there[i]);
        assert_true(there[i].stream->window >= MUX_WINDOW_MIN);
        copy(&p, &here[i], &there[i], 8, 20 * USEC_PER_MSEC);
        assert_true(granted(p.box.mux) <= 1024 * 1024);
        there[i].hold = true;
    }
    /* all are filled, also where the sender's own bound needs receipts in between */
    for (unsigned i = 0; i < 4 * MUX_STREAMS_MAX; i++) {
        copy(&p, &here[i % MUX_STREAMS_MAX], &there[i % MUX_STREAMS_MAX], 1, USEC_PER_SEC);
        (void) mux_tick(p.box.mux, p.now);
    }
    size_t held = 0;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        held += (size_t) (mux_stream_received(there[i].stream) - there[i].stream->consumed);
    assert_in_range(held, 512 * 1024, 1024 * 1024);
    /* who came last and began with little has the usual window as soon as there is room */
    unsigned last = MUX_STREAMS_MAX - 1;
    assert_int_equal(there[last].stream->window, MUX_WINDOW_MIN);
    for (unsigned i = 0; i < last; i++)
        mux_stream_reset(here[i].stream, NULL);
    pair_run(&p);
    there[last].hold = false;
    mux_stream_consumed(there[last].stream, SIZE_MAX);
    pair_run(&p);
    copy(&p, &here[last], &there[last], 4, USEC_PER_SEC);
    assert_int_equal(there[last].stream->window, 256 * 1024);
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        user_done(&here[i]);
        user_done(&there[i]);
    }
    pair_done(&p);
}

/* What a peer has ended holds nothing, but its place stays one that a new stream may take. */
static void test_ended_streams_keep_their_place(void **state _unused_)
{
    const size_t session = 32 * 1024 * MUX_STREAMS_MAX, half = MUX_STREAMS_MAX / 2;
    Pair p;
    User here[MUX_STREAMS_MAX], there[MUX_STREAMS_MAX];
    pair_init_sized(&p, 64 * 1024, 64 * 1024, session);
    for (unsigned i = 0; i < half; i++) {
        pair_open(&p, &here[i], &there[i]);
        mux_stream_finish(here[i].stream);
        pair_run(&p);
        assert_true(there[i].stream->in_ended && !there[i].stream->is_gone);
    }
    for (unsigned i = half; i < MUX_STREAMS_MAX; i++)
        pair_open(&p, &here[i], &there[i]);
    for (unsigned i = 0; i < half; i++) {
        mux_stream_finish(there[i].stream);
        pair_run(&p);
        user_done(&here[i]);
        user_done(&there[i]);
        pair_open(&p, &here[i], &there[i]);
        assert_true(granted(p.box.mux) <= session);
        assert_true(there[i].stream->window >= MUX_WINDOW_MIN);
    }
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++) {
        user_done(&here[i]);
        user_done(&there[i]);
    }
    pair_done(&p);
}

/* A peer that allows everything and confirms nothing. */
static void test_memory_is_bounded(void **state _unused_)
{
    uint8_t none[8] = {};
    Pair p;
    User here[4], there[4];
    size_t held = 0;
    pair_init(&p);
    for (unsigned i = 0; i < 4; i++)
        pair_open(&p, &here[i], &there[i]);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(inject(&p, &p.gateway, MUX_FRAME_CREDIT, 0, here[i].stream->id, UINT32_MAX, none, 8), 0);
        while (write_filled(&here[i], 65536) > 0)
            while (end_pull(&p, &p.gateway))
                ;
        held += here[i].stream->ring.cap;
    }
    assert_in_range(held, MUX_SESSION_MAX_GATEWAY, MUX_SESSION_MAX_GATEWAY + 4 * 2 * MUX_QUEUE_AHEAD);
    for (unsigned i = 0; i < 4; i++) {
        user_done(&here[i]);
        user_done(&there[i]);
    }
    pair_done(&p);
}

/* The same in turn: what one burst has left is given back before another one takes as much. */
static void test_bursts_in_turn(void **state _unused_)
{
    Pair p;
    User here[8], there[8];
    pair_init(&p);
    for (unsigned i = 0; i < 8; i++)
        pair_open(&p, &here[i], &there[i]);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t received[8] = {};
        assert_int_equal(inject(&p, &p.gateway, MUX_FRAME_CREDIT, 0, here[i].stream->id, UINT32_MAX, received, 8), 0);
        while (write_filled(&here[i], 65536) > 0)
            while (end_pull(&p, &p.gateway))
                ;
        assert_true(here[i].stream->ring.cap >= MUX_WINDOW_MAX);
        mux_put_u64(received, here[i].stream->sent_max);
        assert_int_equal(inject(&p, &p.gateway, MUX_FRAME_CREDIT, 0, here[i].stream->id, UINT32_MAX, received, 8), 0);
    }
    size_t held = 0;
    for (unsigned i = 0; i < 8; i++) {
        held += here[i].stream->ring.cap;
        user_done(&here[i]);
        user_done(&there[i]);
    }
    assert_in_range(held, MUX_WINDOW_MAX, MUX_SESSION_MAX_GATEWAY + MUX_QUEUE_AHEAD);
    pair_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_keystroke_overtakes), cmocka_unit_test(test_nobody_starves),
        cmocka_unit_test(test_bulk_in_turn),          cmocka_unit_test(test_windows_grow),
        cmocka_unit_test(test_session_is_bounded),    cmocka_unit_test(test_ended_streams_keep_their_place),
        cmocka_unit_test(test_memory_is_bounded),     cmocka_unit_test(test_bursts_in_turn),
        cmocka_unit_test(test_low_streams_come_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
