/* SPDX-License-Identifier: MIT */
/* Random lives of a session against plain byte counts: whatever is cut, lost, ended or reset, each side gets a prefix of
 * what the other wrote, all of it when nothing was reset, and the end right behind the last byte. */
#include "tests/unit/mux-pair.h"

#include "lib/base/strv.h"

#define STREAMS 6
#define RUNS 3000
#define STEPS 160

/* One direction of one stream, as bytes whose value says where they belong. */
typedef struct Way {
    uint64_t written, got, consumed;
    bool finished, ended;
} Way;

typedef struct Side {
    struct Model *model;
    struct Line *line;
    MuxStream *stream;
    bool closed;
    char reason[160];
    Way out; /* what this side writes, and how far the other has come with it */
} Side;

typedef struct Line {
    Side opener, acceptor;
    bool is_used, was_reset, was_cut;
} Line;

typedef struct Model {
    Pair pair;
    uint64_t seed;
    Line lines[STREAMS];
    size_t initial, max, session;
    bool attached;
} Model;

/* What the lives had in them, so that they do not become dull unnoticed. */
static struct {
    unsigned long long bytes;
    unsigned cuts, lost_frames, clean, clean_over_cuts, resets, lost;
} seen;

static unsigned below(Model *m, unsigned bound)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return (unsigned) ((m->seed >> 20) % bound);
}

static Side *other(Side *s)
{
    return s == &s->line->opener ? &s->line->acceptor : &s->line->opener;
}

static void do_reset(Side *s)
{
    if (!s->stream)
        return;
    s->line->was_reset = true;
    seen.resets++;
    mux_stream_reset(s->stream, "test.reset");
    s->stream = NULL;
    s->closed = true;
}

static void on_data(MuxStream *stream, const uint8_t *data, size_t len, void *userdata)
{
    Side *s = userdata;
    Way *in = &other(s)->out;
    assert_ptr_equal(stream, s->stream);
    assert_false(in->ended);
    for (size_t i = 0; i < len; i++)
        if (data[i] != byte_at(in->got + i))
            fail_msg("byte %llu is wrong", (unsigned long long) (in->got + i));
    in->got += len;
    assert_true(in->got <= in->written);
    assert_true(in->got - in->consumed <= s->model->max);
    seen.bytes += len;
    unsigned what = below(s->model, 200);
    if (what == 0) {
        do_reset(s);
    } else if (what == 1) {
        do_reset(other(s));
    } else if (what < 100) {
        mux_stream_consumed(stream, len);
        in->consumed += len;
    }
}

static void on_accepted(MuxStream *stream, void *userdata)
{
    Side *s = userdata;
    assert_ptr_equal(stream, s->stream);
    if (below(s->model, 30) == 0)
        do_reset(s);
}

static void on_end(MuxStream *stream, void *userdata)
{
    Side *s = userdata;
    Way *in = &other(s)->out;
    assert_ptr_equal(stream, s->stream);
    assert_false(in->ended);
    assert_true(in->finished);
    assert_int_equal(in->got, in->written);
    in->ended = true;
}

static void on_closed(MuxStream *stream, const char *reason, void *userdata)
{
    Side *s = userdata;
    assert_ptr_equal(stream, s->stream);
    assert_false(s->closed);
    s->closed = true;
    s->stream = NULL;
    snprintf(s->reason, sizeof s->reason, "%s", reason ? reason : "");
    if (!reason)
        assert_true(s->out.ended && other(s)->out.ended);
    else
        assert_true(s->line->was_reset);
    if (str_equal(reason, "stream.lost"))
        seen.lost++;
}

static const MuxStreamEvents events = {
    .on_accepted = on_accepted, .on_data = on_data, .on_end = on_end, .on_closed = on_closed
};

static void on_open(Mux *mux _unused_, MuxStream *stream, const cJSON *open, void *userdata)
{
    Model *m = userdata;
    Line *l = &m->lines[(unsigned) cJSON_GetObjectItem(open, "line")->valueint];
    assert_null(l->acceptor.stream);
    assert_false(l->acceptor.closed);
    l->acceptor.stream = stream;
    mux_stream_set_events(stream, &events, &l->acceptor);
    if (below(m, 2))
        mux_stream_accept(stream, &events, &l->acceptor);
}

static const MuxEvents mux_events = { .on_open = on_open };

static void make(Model *m, End *e, MuxSide side)
{
    MuxOptions o = { .side = side,
                     .window_initial = m->initial,
                     .window_max = m->max,
                     .session_max = m->session,
                     .events = &mux_events,
                     .userdata = m };
    *e = (End) { .wire = calloc(WIRE_MAX, sizeof *e->wire) };
    assert_non_null(e->wire);
    assert_int_equal(mux_new(&o, &e->mux), 0);
    mux_set_rtt(e->mux, 20 * USEC_PER_MSEC);
}

static void do_open(Model *m)
{
    unsigned i = below(m, STREAMS);
    Line *l = &m->lines[i];
    if (l->is_used)
        return;
    *l = (Line) { .is_used = true };
    l->opener = (Side) { .model = m, .line = l };
    l->acceptor = (Side) { .model = m, .line = l };
    cJSON *open = cJSON_CreateObject();
    cJSON_AddNumberToObject(open, "line", i);
    Mux *mux = below(m, 2) ? m->pair.box.mux : m->pair.gateway.mux;
    assert_int_equal(mux_open(mux, open, &events, &l->opener, &l->opener.stream), 0);
    cJSON_Delete(open);
}

static void do_write(Model *m, Side *s)
{
    uint8_t data[40000];
    if (!s->stream || s->out.finished || (s == &s->line->acceptor && below(m, 4) == 0))
        return;
    if (s == &s->line->acceptor)
        mux_stream_accept(s->stream, &events, s);
    size_t len = below(m, 3) == 0 ? below(m, sizeof data) : below(m, 200);
    fill(data, len, s->out.written);
    size_t n = mux_stream_write(s->stream, data, len);
    assert_true(n <= len);
    s->out.written += n;
    assert_true(s->out.written - mux_stream_sent(s->stream) <= m->max + 65536);
}

static void do_consume(Model *m, Side *s)
{
    Way *in = &other(s)->out;
    uint64_t open = in->got - in->consumed;
    if (!s->stream || open == 0)
        return;
    size_t n = 1 + below(m, (unsigned) open);
    in->consumed += n;
    mux_stream_consumed(s->stream, n);
}

static void do_finish(Side *s)
{
    if (!s->stream || s->out.finished)
        return;
    if (s == &s->line->acceptor)
        mux_stream_accept(s->stream, &events, s);
    s->out.finished = true;
    mux_stream_finish(s->stream);
}

static void connect(Model *m)
{
    if (!m->attached)
        pair_connect(&m->pair);
    m->attached = true;
}

/* Each side has received some of what was on the wire. */
static void cut(Model *m)
{
    if (!m->attached)
        return;
    seen.cuts++;
    for (unsigned i = 0; i < 2; i++) {
        End *e = i ? &m->pair.box : &m->pair.gateway;
        seen.lost_frames += (unsigned) (e->sent - e->delivered);
    }
    for (unsigned i = 0; i < STREAMS; i++)
        m->lines[i].was_cut = true;
    pair_cut(&m->pair);
    m->attached = false;
}

/* Beyond the grace every stream may be lost. */
static void wait_long(Model *m)
{
    if (m->attached)
        return;
    m->pair.now += MUX_GRACE;
    for (unsigned i = 0; i < STREAMS; i++)
        m->lines[i].was_reset |= m->lines[i].is_used;
    (void) mux_tick(m->pair.box.mux, m->pair.now);
    (void) mux_tick(m->pair.gateway.mux, m->pair.now);
}

/* What both sides keep stays within what they were given. */
static void check_bounds(const Model *m)
{
    for (unsigned i = 0; i < 2; i++) {
        const Mux *mux = i ? m->pair.box.mux : m->pair.gateway.mux;
        size_t granted = 0;
        for (unsigned k = 0; k < MUX_STREAMS_MAX; k++) {
            const MuxStream *s = mux->streams[k];
            if (!s)
                continue;
            assert_true(s->ring.cap <= m->max + MUX_QUEUE_AHEAD);
            assert_true(s->received <= s->limit && s->consumed <= s->received);
            assert_true(s->next <= mux_stream_tail(s) && s->next >= s->confirmed);
            assert_true(s->next <= s->peer_limit || s->next == 0);
            granted += (size_t) ((s->in_ended ? s->received : s->limit) - s->consumed);
        }
        assert_true(granted <= m->session);
    }
}

static void step(Model *m)
{
    Line *l = &m->lines[below(m, STREAMS)];
    Side *s = below(m, 2) ? &l->opener : &l->acceptor;
    End *e = below(m, 2) ? &m->pair.box : &m->pair.gateway;
    unsigned what = below(m, 100);
    m->pair.now += below(m, 30) * USEC_PER_MSEC;
    if (what < 8 || !l->is_used)
        do_open(m);
    else if (what < 28)
        do_write(m, s);
    else if (what < 38)
        do_consume(m, s);
    else if (what < 40)
        do_finish(s);
    else if (what < 41)
        do_reset(s);
    else if (what < 43)
        cut(m);
    else if (what < 49)
        connect(m);
    else if (what < 51 && below(m, 20) == 0)
        wait_long(m);
    else if (what < 52)
        (void) mux_tick(e->mux, m->pair.now);
    else if (what < 76 && m->attached)
        for (unsigned n = 1 + below(m, 8); n > 0 && end_pull(&m->pair, e); n--)
            ;
    else if (m->attached)
        for (unsigned n = 1 + below(m, 8); n > 0 && end_deliver(&m->pair, e); n--)
            ;
}

/* In the end everybody writes nothing more, consumes all, and the connection holds. */
static void finish(Model *m)
{
    connect(m);
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < STREAMS; i++) {
            Side *sides[] = { &m->lines[i].opener, &m->lines[i].acceptor };
            for (unsigned k = 0; m->lines[i].is_used && k < 2; k++) {
                Way *in = &other(sides[k])->out;
                if (!sides[k]->stream)
                    continue;
                mux_stream_consumed(sides[k]->stream, (size_t) (in->got - in->consumed));
                in->consumed = in->got;
                do_finish(sides[k]);
            }
        }
        pair_run(&m->pair);
        if (mux_streams(m->pair.box.mux) + mux_streams(m->pair.gateway.mux) == 0)
            return;
    }
    fail_msg("streams are left over");
}

static void run(uint64_t seed)
{
    Model m = { .seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };
    m.initial = (size_t) 16384 << below(&m, 4);
    m.max = m.initial << below(&m, 4);
    m.session = m.max > 16 * m.initial ? m.max : 16 * m.initial;
    m.pair.now = 1000 * USEC_PER_SEC;
    make(&m, &m.pair.box, MUX_CLIENT);
    make(&m, &m.pair.gateway, MUX_GATEWAY);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&m);
        check_bounds(&m);
    }
    finish(&m);
    for (unsigned i = 0; i < STREAMS; i++) {
        Line *l = &m.lines[i];
        if (!l->is_used || l->was_reset)
            continue;
        assert_true(l->opener.closed && l->acceptor.closed);
        assert_int_equal(l->opener.out.got, l->opener.out.written);
        assert_int_equal(l->acceptor.out.got, l->acceptor.out.written);
        seen.clean++;
        seen.clean_over_cuts += l->was_cut;
    }
    pair_done(&m.pair);
}

static void test_random_lives(void **state _unused_)
{
    const char *one = getenv("SEED");
    if (one) {
        run(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= RUNS; seed++)
        run(seed);
    print_message("%llu bytes, %u cuts, %u frames lost, %u streams ended well (%u cut before), %u resets, %u lost\n",
                  seen.bytes, seen.cuts, seen.lost_frames, seen.clean, seen.clean_over_cuts, seen.resets, seen.lost);
    assert_true(seen.bytes > RUNS * 50000 && seen.cuts > RUNS && seen.lost_frames > RUNS);
    assert_true(seen.clean > RUNS && seen.clean_over_cuts > RUNS / 2 && seen.resets > RUNS / 2 &&
                seen.lost > RUNS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
