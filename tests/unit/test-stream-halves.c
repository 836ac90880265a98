/* SPDX-License-Identifier: MIT */
/* Streams of which one direction ends before the other, plain and TLS; and what their packets are like. */
#include "tests/unit/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/event/daemon.h"
#include "lib/net/address-memory.h"
#include "lib/net/stream-impl.h"

#define LATE ((size_t) 3 * 1024 * 1024)

static char folder[] = "/tmp/secbox-test-halves-XXXXXX";

typedef struct Side {
    Stream *s;
    Buf in;
    unsigned opened, ended, closed;
    int result;
} Side;

typedef struct World {
    sd_event *event;
    sd_event_source *io;
    Tls *server_tls, *client_tls;
    int fd;
    uint16_t port;
    Side client, server;
} World;

static void on_open(Stream *s _unused_, void *userdata)
{
    ((Side *) userdata)->opened++;
}

static void on_data(Stream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    assert_int_equal(buf_append(&((Side *) userdata)->in, data, len), 0);
}

static void on_end(Stream *s _unused_, void *userdata)
{
    ((Side *) userdata)->ended++;
}

static void on_closed(Stream *s, int r, const Error *err, void *userdata)
{
    Side *side = userdata;

    assert_int_equal(err != NULL, r < 0);
    side->closed++;
    side->result = r;
    side->s = stream_free(s);
}

static const StreamEvents events = { .on_open = on_open, .on_data = on_data, .on_end = on_end, .on_closed = on_closed };

static int on_listen(sd_event_source *source _unused_, int listener, uint32_t revents _unused_, void *userdata)
{
    World *w = userdata;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(stream_accept(w->event, fd, w->server_tls, &events, &w->server, &w->server.s), 0);
    return 0;
}

static int setup(void **state)
{
    World *w = calloc(1, sizeof(*w));
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);

    assert_non_null(w);
    assert_int_equal(service_loop_new(&w->event, NULL), 0);
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->fd, (struct sockaddr *) &addr, sizeof(addr)), 0);
    assert_int_equal(listen(w->fd, 1), 0);
    assert_int_equal(getsockname(w->fd, (struct sockaddr *) &addr, &len), 0);
    w->port = ntohs(addr.sin_port);
    assert_true(sd_event_add_io(w->event, &w->io, w->fd, EPOLLIN, on_listen, w) >= 0);
    w->client.in = w->server.in = BUF_INIT(2 * LATE);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;

    stream_free(w->client.s);
    stream_free(w->server.s);
    buf_done(&w->client.in);
    buf_done(&w->server.in);
    tls_free(w->server_tls);
    tls_free(w->client_tls);
    sd_event_source_disable_unref(w->io);
    close(w->fd);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

static void turn(World *w)
{
    assert_true(sd_event_run(w->event, 10 * USEC_PER_MINUTE) >= 0);
}

static void connect_both(World *w)
{
    const StreamTarget target = { .host = "127.0.0.1", .port = w->port, .tls = w->client_tls };

    assert_int_equal(stream_connect(w->event, &target, &events, &w->client, &w->client.s, NULL), 0);
    while (!w->client.opened || !w->server.s || (w->server_tls && !w->server.opened))
        turn(w);
}

/* The client says all it has and ends; the server answers for long after that, while the client does not read at first. */
static void finish_both(World *w)
{
    _cleanup_(freep) uint8_t *late = calloc(1, LATE);

    connect_both(w);
    stream_let_stall(w->client.s);
    assert_int_equal(stream_send(w->client.s, "all", 3), 0);
    stream_finish(w->client.s);
    assert_int_equal(stream_send(w->client.s, "more", 4), -ENOTCONN);
    stream_pause(w->client.s, true);
    while (!w->server.ended)
        turn(w);
    assert_int_equal(w->server.in.len, 3);
    assert_int_equal(w->server.closed, 0);
    assert_int_equal(stream_send(w->server.s, late, LATE), 0);
    stream_finish(w->server.s);
    assert_int_equal(w->client.closed, 0);
    stream_pause(w->client.s, false);
    while (!w->client.closed || !w->server.closed)
        turn(w);
    assert_int_equal(w->client.in.len, LATE);
    assert_int_equal(w->client.result, 0);
    assert_int_equal(w->server.result, 0);
    assert_int_equal(w->server.ended, 1);
}

static void test_plain(void **state)
{
    finish_both(*state);
}

static void test_tls(void **state)
{
    World *w = *state;
    _cleanup_(freep) char *cert = str_format("%s/cert.pem", folder), *key = str_format("%s/key.pem", folder);

    assert_int_equal(tls_new_server(cert, key, &w->server_tls, NULL), 0);
    assert_int_equal(tls_new_client(cert, &w->client_tls, NULL), 0);
    finish_both(w);
}

/* What is there already is read, although epoll says again and again that both directions have ended. */
static void test_what_lies_there_when_both_have_ended(void **state)
{
    World *w = *state;

    connect_both(w);
    stream_pause(w->client.s, true);
    assert_int_equal(stream_send(w->server.s, "late", 4), 0);
    stream_finish(w->server.s);
    stream_finish(w->client.s);
    while (!w->server.closed)
        turn(w);
    assert_int_equal(sd_event_run(w->event, 0), 0); /* nothing is left to do: it does not spin */
    assert_int_equal(w->client.closed, 0);
    stream_pause(w->client.s, false);
    while (!w->client.closed)
        turn(w);
    assert_int_equal(w->client.in.len, 4);
    assert_int_equal(w->client.result, 0);
}

/* The server has ended and was read to its end; then it is gone, which no reading finds out. */
static void test_a_reset_behind_the_end(void **state)
{
    World *w = *state;
    const struct linger at_once = { .l_onoff = 1 };

    connect_both(w);
    stream_finish(w->server.s);
    while (!w->client.ended)
        turn(w);
    assert_int_equal(w->client.closed, 0);
    assert_int_equal(setsockopt(w->server.s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    w->server.s = stream_free(w->server.s);
    while (!w->client.closed)
        turn(w);
    assert_int_equal(w->client.result, -ECONNRESET);
}

static int make_certificate(void **state _unused_)
{
    assert_non_null(mkdtemp(folder));
    make_self_signed(folder, "key.pem", "cert.pem", "IP:127.0.0.1");
    return 0;
}

static int remove_certificate(void **state _unused_)
{
    return dir_remove(folder, NULL);
}

static int segment_of(const Stream *s)
{
    int bytes = 0;
    socklen_t len = sizeof(bytes);

    assert_int_equal(getsockopt(s->fd, IPPROTO_TCP, TCP_MAXSEG, &bytes, &len), 0);
    return bytes;
}

/* Both sides send small ones behind a connection that was silent to its end, and full ones where that was not the reason. */
static void test_a63_segments_behind_a_silence(void **state)
{
    World *w = *state;
    _cleanup_(freep) char *address = str_format("127.0.0.1:%u", w->port);

    for (int i = 0; i < 4; i++) {
        w->client.opened = 0;
        connect_both(w);
        assert_true(i % 2 == 0 ? segment_of(w->client.s) > 1400 : segment_of(w->client.s) <= 1160);
        assert_true(i % 2 == 0 ? segment_of(w->server.s) > 1400 : segment_of(w->server.s) <= 1160);
        address_note_silence(address);
        w->client.s = stream_free(w->client.s);
        w->server.s = stream_free(w->server.s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_lies_there_when_both_have_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reset_behind_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a63_segments_behind_a_silence, setup, teardown),
    };

    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
