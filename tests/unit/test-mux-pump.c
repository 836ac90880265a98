/* SPDX-License-Identifier: MIT */
/* Pumps at both ends of a stream, between sockets, pipes and what epoll refuses; the two muxes are joined in memory. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/mux/pump.h"
#include "tests/unit/mux-carry.h"

#define BULK ((size_t) 8 * 1000 * 1000)

typedef struct End {
    struct World *world;
    Mux *mux;
    MuxPump *pump;
    MuxStream *stream; /* where there is no pump */
    int local[2];      /* what the pump takes: in and out; the same for a socket */
    bool done;
    char *reason;
    uint64_t bytes_in, bytes_out;
} End;

typedef struct World {
    sd_event *event;
    End near, far; /* near opens */
} World;

static void on_done(MuxPump *p, const char *reason, void *userdata)
{
    End *e = userdata;
    assert_ptr_equal(p, e->pump);
    assert_false(e->done);
    e->done = true;
    e->reason = reason ? strdup(reason) : NULL;
    mux_pump_bytes(p, &e->bytes_in, &e->bytes_out);
    e->pump = mux_pump_free(p, NULL);
}

static void start_pump(End *e, MuxStream *s, bool accept)
{
    MuxPumpOptions options = { .in = e->local[0], .out = e->local[1], .on_done = on_done, .userdata = e };
    assert_true(mux_pump_new(e->world->event, s, accept, &options, &e->pump) >= 0);
}

static void on_open(Mux *m, MuxStream *s, const cJSON *open, void *userdata)
{
    End *e = userdata;
    assert_ptr_equal(m, e->mux);
    assert_non_null(open);
    start_pump(e, s, true);
}

static const MuxEvents mux_events = { .on_open = on_open };

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    w->near.world = w->far.world = w;
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    MuxOptions options = {
        .window_initial = MUX_WINDOW_INITIAL,
        .window_max = MUX_WINDOW_MAX,
        .session_max = MUX_SESSION_MAX_BOX,
        .events = &mux_events,
    };
    options.side = MUX_CLIENT;
    options.userdata = &w->near;
    assert_true(mux_new(&options, &w->near.mux) >= 0);
    options.side = MUX_GATEWAY;
    options.userdata = &w->far;
    assert_true(mux_new(&options, &w->far.mux) >= 0);
    mux_attach(w->near.mux, boottime_usec());
    mux_attach(w->far.mux, boottime_usec());
    *state = w;
    return 0;
}

static void end_done(End *e)
{
    mux_pump_free(e->pump, NULL);
    mux_free(e->mux);
    free(e->reason);
}

static int teardown(void **state)
{
    World *w = *state;
    end_done(&w->near);
    end_done(&w->far);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

static void turn(World *w)
{
    bool one = mux_carry(w->near.mux, w->far.mux), two = mux_carry(w->far.mux, w->near.mux);
    (void) mux_tick(w->near.mux, boottime_usec());
    (void) mux_tick(w->far.mux, boottime_usec());
    assert_true(sd_event_run(w->event, one || two ? 0 : 1000) >= 0);
}

/* Moves everything, and serves the test's own ends meanwhile, until the condition holds. */
#define RUN_UNTIL(w, condition)                                                                                        \
    while (!(condition))                                                                                               \
    turn(w)

/* The test's side of a local socket or pair of pipes. */
typedef struct Local {
    int in, out;
    size_t to_send, sent, received;
    uint8_t seed;
    bool ended; /* they said so */
} Local;

static uint8_t byte_at(uint8_t seed, size_t position)
{
    return (uint8_t) ((position * 2654435761u >> 7) + seed);
}

static void local_send(Local *l)
{
    uint8_t data[8192];
    size_t len = l->to_send - l->sent < sizeof data ? l->to_send - l->sent : sizeof data;
    for (size_t i = 0; i < len; i++)
        data[i] = byte_at(l->seed, l->sent + i);
    ssize_t n = len > 0 ? write(l->out, data, len) : 0;
    l->sent += n > 0 ? (size_t) n : 0;
}

static void local_receive(Local *l, uint8_t seed)
{
    uint8_t data[8192];
    ssize_t n = read(l->in, data, sizeof data);
    l->ended |= n == 0;
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(data[i], byte_at(seed, l->received + (size_t) i));
    l->received += n > 0 ? (size_t) n : 0;
}

static void socket_for(End *e, Local *l)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    e->local[0] = e->local[1] = fds[0];
    l->in = l->out = fds[1];
}

/* As a command line's standard input and output: in blocking mode. */
static void pipes_for(End *e, Local *l)
{
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(fcntl(in[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
    e->local[0] = in[0];
    e->local[1] = out[1];
    l->in = out[0];
    l->out = in[1];
}

static void open_stream(World *w)
{
    MuxStream *s = NULL;
    static const MuxStreamEvents none = {};
    assert_true(mux_open(w->near.mux, NULL, &none, NULL, &s) >= 0);
    start_pump(&w->near, s, false);
}

static void local_close(Local *l)
{
    if (l->in >= 0)
        close(l->in);
    if (l->out >= 0 && l->out != l->in)
        close(l->out);
    l->in = l->out = -1;
}

/* Both ways at once; then one side ends, hears the other's last words, and both pumps are done. */
static void copy(World *w, Local *a, Local *b)
{
    a->to_send = BULK;
    b->to_send = BULK / 2;
    a->seed = 1;
    b->seed = 2;
    open_stream(w);
    while (a->received < b->to_send || b->received < a->to_send) {
        local_send(a);
        local_send(b);
        local_receive(a, 2);
        local_receive(b, 1);
        turn(w);
    }
    if (a->in == a->out)
        assert_int_equal(shutdown(a->out, SHUT_WR), 0);
    else
        close(TAKE_FD(a->out));
    while (!b->ended) {
        local_receive(b, 1);
        turn(w);
    }
    assert_false(a->ended || w->near.done || w->far.done);
    b->to_send += 100;
    local_send(b);
    if (b->in == b->out)
        assert_int_equal(shutdown(b->out, SHUT_WR), 0);
    else
        close(TAKE_FD(b->out));
    while (!a->ended) {
        local_receive(a, 2);
        turn(w);
    }
    assert_int_equal(a->received, BULK / 2 + 100);
    RUN_UNTIL(w, w->near.done && w->far.done);
    assert_null(w->near.reason);
    assert_null(w->far.reason);
    assert_true(w->near.bytes_in == BULK && w->far.bytes_out == BULK);
    assert_true(w->near.bytes_out == b->to_send && w->far.bytes_in == b->to_send);
    local_close(a);
    local_close(b);
}

static void test_sockets(void **state)
{
    World *w = *state;
    Local a = {}, b = {};
    socket_for(&w->near, &a);
    socket_for(&w->far, &b);
    copy(w, &a, &b);
}

static void test_pipes(void **state)
{
    World *w = *state;
    Local a = {}, b = {};
    pipes_for(&w->near, &a);
    socket_for(&w->far, &b);
    copy(w, &a, &b);
}

/* Files and /dev/null: epoll refuses them. */
static void test_files(void **state)
{
    World *w = *state;
    char path[] = "/tmp/secbox-test-pump-XXXXXX";
    int file = mkstemp(path);
    Local a = { .out = file, .to_send = 300000, .seed = 5 }, b = {};
    assert_true(file >= 0);
    assert_int_equal(unlink(path), 0);
    while (a.sent < a.to_send)
        local_send(&a);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    w->near.local[0] = file;
    w->near.local[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    socket_for(&w->far, &b);
    b.to_send = 200000;
    open_stream(w);
    while (!b.ended) {
        local_send(&b);
        local_receive(&b, 5);
        turn(w);
    }
    assert_int_equal(b.received, 300000);
    while (b.sent < b.to_send) {
        local_send(&b);
        turn(w);
    }
    local_close(&b);
    RUN_UNTIL(w, w->near.done && w->far.done);
    assert_null(w->near.reason);
}

/* Who does not read is not read from without end, and costs one window at most. */
static void test_backpressure(void **state)
{
    World *w = *state;
    Local a = { .to_send = (size_t) 64 * 1024 * 1024 }, b = {};
    socket_for(&w->near, &a);
    socket_for(&w->far, &b);
    open_stream(w);
    size_t before = 1;
    for (unsigned still = 0; still < 50; still = a.sent == before ? still + 1 : 0) {
        before = a.sent;
        local_send(&a);
        (void) mux_carry(w->near.mux, w->far.mux);
        (void) mux_carry(w->far.mux, w->near.mux);
        assert_true(sd_event_run(w->event, 0) >= 0);
    }
    assert_true(a.sent >= MUX_WINDOW_INITIAL && a.sent < (size_t) 2 * MUX_WINDOW_MAX);
    a.to_send = a.sent + 1000000;
    while (b.received < a.to_send) {
        local_send(&a);
        local_receive(&b, 0);
        turn(w);
    }
    /* still waiting when the pump is freed */
    w->near.pump = mux_pump_free(w->near.pump, "test.over");
    RUN_UNTIL(w, w->far.done);
    assert_string_equal(w->far.reason, "test.over");
    local_receive(&b, 0);
    assert_true(b.ended);
    local_close(&a);
    local_close(&b);
}

/* The last words reach a slow local side although the stream is over already. */
static void test_last_words(void **state)
{
    World *w = *state;
    Local a = { .to_send = 400000, .seed = 9 }, b = {};
    socket_for(&w->near, &a);
    socket_for(&w->far, &b);
    open_stream(w);
    RUN_UNTIL(w, w->far.pump);
    assert_int_equal(shutdown(b.out, SHUT_WR), 0);
    while (a.sent < a.to_send) {
        local_send(&a);
        turn(w);
    }
    assert_int_equal(shutdown(a.out, SHUT_WR), 0);
    RUN_UNTIL(w, mux_streams(w->near.mux) == 0 && mux_streams(w->far.mux) == 0);
    assert_false(w->far.done);
    while (!b.ended) {
        local_receive(&b, 9);
        turn(w);
    }
    assert_int_equal(b.received, 400000);
    RUN_UNTIL(w, w->near.done && w->far.done);
    assert_null(w->far.reason);
    local_close(&a);
    local_close(&b);
}

static void test_local_side_breaks(void **state)
{
    World *w = *state;
    Local a = { .to_send = 1000000, .seed = 3 }, b = {};
    socket_for(&w->near, &a);
    socket_for(&w->far, &b);
    open_stream(w);
    RUN_UNTIL(w, w->far.pump);
    local_close(&b);
    while (!w->near.done) {
        local_send(&a);
        turn(w);
    }
    assert_string_equal(w->near.reason, "local.closed");
    RUN_UNTIL(w, w->far.done);
    assert_string_equal(w->far.reason, "local.closed");
    local_close(&a);
}

static void test_reset_by_the_peer(void **state)
{
    World *w = *state;
    Local a = {}, b = {};
    socket_for(&w->near, &a);
    socket_for(&w->far, &b);
    open_stream(w);
    RUN_UNTIL(w, w->far.pump);
    w->far.pump = mux_pump_free(w->far.pump, "grant.revoked");
    RUN_UNTIL(w, w->near.done);
    assert_string_equal(w->near.reason, "grant.revoked");
    local_receive(&a, 0);
    assert_true(a.ended);
    local_close(&a);
    local_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backpressure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_local_side_breaks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_by_the_peer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
