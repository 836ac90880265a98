/* SPDX-License-Identifier: MIT */
/* Streams on loopback: plain and TLS, queues, ends, failures; certificates are made here and thrown away. */
#include "tests/unit/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/net/stream-impl.h"
#include "tests/unit/emulated.h"

static char folder[] = "/tmp/secbox-test-stream-XXXXXX";

typedef struct Side {
    Stream *s;
    Buf in;
    unsigned opened, closed;
    int result;
    char *id, *message;
    bool echo, free_on_data, free_on_open, end_on_data;
    uint64_t time_floor;
    const char *const *known;
    size_t to_write, written; /* by on_writable, in pieces */
    unsigned writable;
} Side;

typedef struct World {
    sd_event *event;
    sd_event_source *io;
    int fd;
    uint16_t port;
    Tls *server_tls;
    Side client, server;
    bool accept_nothing;
} World;

static void on_open(Stream *s, void *userdata)
{
    Side *side = userdata;
    side->opened++;
    if (side->free_on_open)
        side->s = stream_free(s);
}

static void on_data(Stream *s, const uint8_t *data, size_t len, void *userdata)
{
    Side *side = userdata;
    assert_true(buf_append(&side->in, data, len) >= 0);
    if (side->echo)
        assert_true(stream_send(s, data, len) >= 0);
    if (side->end_on_data)
        stream_end(s);
    if (side->free_on_data)
        side->s = stream_free(s);
}

static void on_closed(Stream *s, int r, const Error *err, void *userdata)
{
    Side *side = userdata;
    side->closed++;
    side->result = r;
    assert_int_equal(err != NULL, r < 0);
    free(side->id);
    free(side->message);
    side->id = err ? strdup(err->id) : NULL;
    side->message = err ? strdup(err->message) : NULL;
    side->s = stream_free(s);
}

static void on_writable(Stream *s, void *userdata)
{
    static const uint8_t piece[4096] = "piece";
    Side *side = userdata;
    side->writable++;
    assert_int_equal(stream_queued(s), 0);
    uint8_t *at = NULL;
    assert_true(stream_reserve(s, sizeof piece, &at) >= 0);
    memcpy(at, piece, sizeof piece);
    assert_true(stream_commit(s, sizeof piece) >= 0);
    side->written += sizeof piece;
    if (side->written >= side->to_write)
        stream_want_write(s, false);
}

static const StreamEvents events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

static int on_listen(sd_event_source *source, int listener, uint32_t revents, void *userdata)
{
    World *w = userdata;
    (void) source;
    (void) revents;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    if (w->accept_nothing) {
        close(fd);
        return 0;
    }
    stream_free(w->server.s);
    assert_true(stream_accept(w->event, fd, w->server_tls, &events, &w->server, &w->server.s) >= 0);
    return 0;
}

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->fd, (struct sockaddr *) &addr, sizeof addr), 0);
    assert_int_equal(listen(w->fd, 8), 0);
    assert_int_equal(getsockname(w->fd, (struct sockaddr *) &addr, &len), 0);
    w->port = ntohs(addr.sin_port);
    assert_true(sd_event_add_io(w->event, &w->io, w->fd, EPOLLIN, on_listen, w) >= 0);
    w->client.in = w->server.in = BUF_INIT((size_t) 64 * 1024 * 1024);
    *state = w;
    return 0;
}

static void side_done(Side *side)
{
    stream_free(side->s);
    buf_done(&side->in);
    free(side->id);
    free(side->message);
}

static int teardown(void **state)
{
    World *w = *state;
    side_done(&w->client);
    side_done(&w->server);
    sd_event_source_disable_unref(w->io);
    close(w->fd);
    tls_free(w->server_tls);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

#define RUN_UNTIL(w, condition)                                                                                        \
    while (!(condition))                                                                                               \
    assert_true(sd_event_run((w)->event, 10000) >= 0)

static void serve_tls(World *w, const char *name)
{
    _cleanup_(freep) char *cert = str_format("%s/%s.pem", folder, name);
    _cleanup_(freep) char *key = str_format("%s/%s.key", folder, name);
    _cleanup_(error_done) Error err = {};
    w->server_tls = tls_free(w->server_tls);
    if (tls_new_server(cert, key, &w->server_tls, &err) < 0)
        fail_msg("%s", err.message);
}

static void dial(World *w, const char *host, const char *ca)
{
    _cleanup_(freep) char *ca_file = ca ? str_format("%s/%s.pem", folder, ca) : NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(tls_freep) Tls *tls = NULL;
    if (ca && tls_new_client(ca_file, &tls, &err) < 0)
        fail_msg("%s", err.message);
    StreamTarget target = { .host = host, .port = w->port, .tls = tls, .known = w->client.known };
    if (tls)
        tls_set_time_floor(tls, w->client.time_floor);
    if (stream_connect(w->event, &target, &events, &w->client, &w->client.s, &err) < 0)
        fail_msg("%s", err.message);
}

static void hello(World *w)
{
    w->server.echo = true;
    RUN_UNTIL(w, w->client.opened == 1 || w->client.closed);
    if (w->client.closed)
        fail_msg("%s", w->client.message);
    assert_int_equal(stream_send(w->client.s, "hello", 5), 0);
    RUN_UNTIL(w, w->client.in.len == 5);
    assert_memory_equal(w->client.in.data, "hello", 5);
}

static void test_plain(void **state)
{
    World *w = *state;
    dial(w, "127.0.0.1", NULL);
    assert_int_equal(stream_send(w->client.s, "x", 1), -ENOTCONN);
    hello(w);
    _cleanup_(freep) char *peer = str_format("127.0.0.1:%u", w->port);
    assert_string_equal(stream_peer(w->client.s), peer);
    stream_end(w->client.s);
    RUN_UNTIL(w, w->server.closed && w->client.closed);
    assert_int_equal(w->server.result, 0);
    assert_int_equal(w->client.result, 0);
}

static void test_by_name(void **state)
{
    World *w = *state;
    dial(w, "localhost", NULL);
    hello(w);
}

static void test_tls(void **state)
{
    World *w = *state;
    serve_tls(w, "good");
    dial(w, "localhost", "ca");
    hello(w);
    /* an end in good order on both sides */
    stream_end(w->server.s);
    RUN_UNTIL(w, w->client.closed && w->server.closed);
    assert_int_equal(w->client.result, 0);
    assert_int_equal(w->server.result, 0);
}

static void test_tls_by_address(void **state)
{
    World *w = *state;
    serve_tls(w, "good");
    dial(w, "127.0.0.1", "ca");
    hello(w);
    /* cut off without TLS's goodbye: that is no clean end */
    w->server.s = stream_free(w->server.s);
    RUN_UNTIL(w, w->client.closed);
    assert_true(w->client.result < 0);
    assert_string_equal(w->client.id, "stream.closed");
}

static const struct {
    const char *cert, *ca, *host, *says;
} refused[] = {
    { "other", "ca", "localhost", "the certificate is for another name" },
    { "other", "ca", "127.0.0.1", "the certificate is for another name" },
    { "good", "stranger", "localhost", "CLOUD_CA_FILE" },
    { "expired", "ca", "localhost", "clock" },
    { "stranger", "ca", "localhost", "CLOUD_CA_FILE" },
};

static void test_tls_refused(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
        serve_tls(w, refused[i].cert);
        w->client.closed = w->client.opened = 0;
        dial(w, refused[i].host, refused[i].ca);
        RUN_UNTIL(w, w->client.closed);
        assert_string_equal(w->client.id, "stream.tls");
        if (!strstr(w->client.message, refused[i].says) || !strstr(w->client.message, refused[i].host))
            fail_msg("%zu: %s", i, w->client.message);
        assert_int_equal(w->client.opened, 0);
        assert_int_equal(w->server.opened, 0);
    }
}

static void test_tls_files(void **state)
{
    (void) state;
    Tls *tls = NULL;
    _cleanup_(freep) char *good = str_format("%s/good.pem", folder);
    _cleanup_(freep) char *other = str_format("%s/other.key", folder);
    _cleanup_(error_done) Error one = {}, two = {};
    assert_true(tls_new_server(good, other, &tls, &one) < 0);
    assert_string_equal(one.id, "stream.tls-files");
    assert_non_null(strstr(one.message, "other.key"));
    assert_true(tls_new_client("/nonexistent/ca.pem", &tls, &two) < 0);
    assert_string_equal(two.id, "stream.tls-files");
    assert_non_null(strstr(two.message, "/nonexistent/ca.pem"));
    assert_null(tls);
}

static void test_tls_to_plain_port(void **state)
{
    World *w = *state;
    w->server.end_on_data = true;
    dial(w, "127.0.0.1", "ca");
    RUN_UNTIL(w, w->client.closed);
    assert_string_equal(w->client.id, "stream.tls");
    assert_non_null(strstr(w->client.message, "is it a TLS port?"));
}

static void test_plain_to_tls_port(void **state)
{
    World *w = *state;
    serve_tls(w, "good");
    dial(w, "127.0.0.1", NULL);
    RUN_UNTIL(w, w->client.opened);
    assert_int_equal(stream_send(w->client.s, "GET / HTTP/1.1\r\n\r\n", 18), 0);
    RUN_UNTIL(w, w->server.closed);
    assert_string_equal(w->server.id, "stream.tls");
    assert_int_equal(w->server.opened, 0);
}

static void test_refused_port(void **state)
{
    World *w = *state;
    w->io = sd_event_source_disable_unref(w->io);
    close(w->fd);
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    dial(w, "127.0.0.1", NULL);
    RUN_UNTIL(w, w->client.closed);
    assert_string_equal(w->client.id, "stream.connect");
    assert_non_null(strstr(w->client.message, "nothing listens there"));
}

static void test_names_that_are_none(void **state)
{
    World *w = *state;
    static const char *const hosts[] = { "", "-s", "a b", "a/b", "a;b", "$(x)", "a\nb" };
    for (size_t i = 0; i < ELEMENTSOF(hosts); i++) {
        _cleanup_(error_done) Error err = {};
        Stream *s = NULL;
        StreamTarget target = { .host = hosts[i], .port = 1 };
        assert_int_equal(stream_connect(w->event, &target, &events, &w->client, &s, &err), -EINVAL);
        assert_string_equal(err.id, "stream.resolve");
        assert_null(s);
    }
    dial(w, "no-such-host.invalid", NULL);
    RUN_UNTIL(w, w->client.closed);
    assert_string_equal(w->client.id, "stream.resolve");
    assert_non_null(strstr(w->client.message, "no-such-host.invalid"));
}

/* Freed while the resolver runs: nothing is called any more, no child stays. */
static void test_free_while_dialing(void **state)
{
    World *w = *state;
    dial(w, "localhost", NULL);
    w->client.s = stream_free(w->client.s);
    for (int i = 0; i < 3; i++)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    dial(w, "127.0.0.1", NULL);
    stream_end(w->client.s);
    RUN_UNTIL(w, w->client.closed);
    assert_true(w->client.result < 0);
}

static void bulk(World *w)
{
    const size_t piece = 100000, total = 8 * 1000 * 1000;
    _cleanup_(freep) char *data = malloc(piece);
    size_t queued = 0;
    for (size_t i = 0; i < piece; i++)
        data[i] = (char) (i * 7);
    RUN_UNTIL(w, w->client.opened == 1 || w->client.closed);
    assert_int_equal(w->client.closed, 0);
    RUN_UNTIL(w, w->server.s && (!w->server_tls || w->server.opened));
    stream_pause(w->server.s, true);
    stream_set_queue_max(w->client.s, 1000000);
    int r = 0;
    while (queued < total) {
        r = stream_send(w->client.s, data, piece);
        if (r == -ENOBUFS) {
            assert_true(stream_queued(w->client.s) + piece > 1000000);
            stream_pause(w->server.s, false);
            assert_true(sd_event_run(w->event, 10000) >= 0);
            continue;
        }
        assert_int_equal(r, 0);
        queued += piece;
    }
    stream_pause(w->server.s, false);
    stream_end(w->client.s);
    assert_int_equal(stream_send(w->client.s, "x", 1), -ENOTCONN);
    RUN_UNTIL(w, w->server.closed);
    assert_int_equal(w->server.result, 0);
    assert_int_equal(w->server.in.len, total);
    for (size_t i = 0; i < total; i += piece)
        assert_memory_equal(w->server.in.data + i, data, piece);
}

static void test_bulk_plain(void **state)
{
    dial(*state, "127.0.0.1", NULL);
    bulk(*state);
}

static void test_bulk_tls(void **state)
{
    serve_tls(*state, "good");
    dial(*state, "127.0.0.1", "ca");
    bulk(*state);
}

static size_t unsent(const Stream *s)
{
    int n = 0;
    assert_int_equal(ioctl(s->fd, SIOCOUTQNSD, &n), 0);
    return (size_t) n;
}

static bool is_full(const Stream *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLOUT };
    return poll(&p, 1, 0) == 0;
}

/* Writes when asked to until nothing goes any more; what the peer says meanwhile still arrives, and then all goes on. */
static void writable(World *w)
{
    const size_t low = 16384, most = (size_t) 64 * 1024 * 1024;

    skip_if_emulated("ask how much of a socket is not sent yet");
    RUN_UNTIL(w, w->client.opened == 1 || w->client.closed);
    RUN_UNTIL(w, w->server.s && (!w->server_tls || w->server.opened));
    stream_set_unsent_max(w->client.s, low);
    stream_set_bulk(w->client.s, true);
    stream_set_bulk(w->server.s, true);
    stream_pause(w->server.s, true);
    w->client.to_write = most;
    stream_want_write(w->client.s, true);
    RUN_UNTIL(w, w->client.written > 0 && is_full(w->client.s));
    /* one piece more, and what TLS adds */
    assert_true(unsent(w->client.s) > 0 && unsent(w->client.s) <= low + 8192);
    assert_int_equal(stream_send(w->server.s, "still heard", 11), 0);
    RUN_UNTIL(w, w->client.in.len == 11);
    assert_true(w->client.written < most && w->client.writable == w->client.written / 4096);
    w->client.to_write = w->client.written + (size_t) 4 * 1024 * 1024;
    stream_pause(w->server.s, false);
    RUN_UNTIL(w, w->server.in.len >= w->client.to_write);
    assert_int_equal(w->server.in.len, w->client.written);
    for (size_t i = 0; i < w->server.in.len; i += 4096)
        assert_string_equal(w->server.in.data + i, "piece");
    /* not wanted any more: nobody asks */
    unsigned times = w->client.writable;
    stream_set_bulk(w->client.s, false);
    stream_set_bulk(w->server.s, false);
    assert_int_equal(stream_send(w->client.s, "x", 1), 0);
    RUN_UNTIL(w, w->server.in.len == w->client.written + 1);
    assert_int_equal(w->client.writable, times);
    assert_null(w->client.s->out.data);
}

static void test_writable_plain(void **state)
{
    dial(*state, "127.0.0.1", NULL);
    writable(*state);
}

static void test_writable_tls(void **state)
{
    serve_tls(*state, "good");
    dial(*state, "127.0.0.1", "ca");
    writable(*state);
}

#define JUNE_2020 1591000000
#define JUNE_2022 1654000000
#define JUNE_2040 2222000000

/* A clock that is wrong, and a moment that is known to have passed: "ages" is the authority of all times. */
static const struct {
    const char *cert, *ca, *host;
    uint64_t floor;
    const char *says; /* NULL = accepted */
} clocks[] = {
    { "past", "ages", "localhost", 0, "clock" },
    { "past", "ages", "localhost", JUNE_2020, NULL },
    { "past", "ages", "localhost", JUNE_2022, "clock" },
    { "future", "ages", "localhost", 0, "clock" },
    { "future", "ages", "localhost", JUNE_2040, NULL },
    { "future", "ages", "localhost", JUNE_2022, "clock" },
    /* valid now is enough */
    { "good", "ca", "localhost", JUNE_2020, NULL },
    /* nothing but the time is let off */
    { "past", "ages", "127.0.0.1", JUNE_2020, "the certificate is for another name" },
    { "past", "stranger", "localhost", JUNE_2020, "CLOUD_CA_FILE" },
    { "stranger", "ages", "localhost", JUNE_2020, "CLOUD_CA_FILE" },
    /* the whole chain at one time: its authority was not there yet */
    { "early", "ca", "localhost", JUNE_2020, "clock" },
};

static void test_clock(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < ELEMENTSOF(clocks); i++) {
        serve_tls(w, clocks[i].cert);
        w->client.closed = w->client.opened = 0;
        w->client.time_floor = clocks[i].floor;
        dial(w, clocks[i].host, clocks[i].ca);
        RUN_UNTIL(w, w->client.closed || w->client.opened);
        if (clocks[i].says && (!w->client.closed || !strstr(w->client.message, clocks[i].says)))
            fail_msg("%zu: %s", i, w->client.closed ? w->client.message : "accepted");
        if (!clocks[i].says && !w->client.opened)
            fail_msg("%zu: %s", i, w->client.message);
        w->client.s = stream_free(w->client.s);
    }
}

static void test_known_addresses(void **state)
{
    World *w = *state;
    static const char *const known[] = { "not an address", "127.0.0.2", "127.0.0.1", NULL };
    w->client.known = known;
    dial(w, "no-such-host.invalid", NULL);
    hello(w);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    _cleanup_(freep) char *path = str_format("%s/%s", folder, name);
    assert_true(file_write_atomic(path, text, strlen(text), mode, (uid_t) -1, (gid_t) -1, NULL) >= 0);
}

static void set_resolver(const char *script)
{
    static char path[sizeof folder + 16];
    write_file("resolver", script, 0755);
    (void) snprintf(path, sizeof path, "%s/resolver", folder);
    stream_resolver = path;
}

/* A resolver that never answers costs its head start; one that is late is still listened to. */
static void test_resolver_hangs(void **state)
{
    World *w = *state;
    static const char *const known[] = { "127.0.0.1", NULL }, *const wrong[] = { "127.0.0.2", NULL };
    const char *usual = stream_resolver;
    serve_tls(w, "good");
    w->client.known = known;
    set_resolver("#!/bin/sh\nexec sleep 60\n");
    dial(w, "localhost", "ca");
    hello(w);
    w->client.s = stream_free(w->client.s);
    /* the name still counts, not the address */
    w->client.opened = w->client.closed = 0;
    dial(w, "gateway.example", "ca");
    RUN_UNTIL(w, w->client.closed);
    assert_string_equal(w->client.id, "stream.tls");
    w->client.closed = 0;
    w->client.in.len = 0;
    w->client.known = wrong;
    set_resolver("#!/bin/sh\nsleep 2.5\necho '127.0.0.1  STREAM localhost'\n");
    dial(w, "localhost", "ca");
    hello(w);
    stream_resolver = usual;
}

/* The first address takes the connection: and says nothing, or is somebody else's. */
static void test_a06_a07_next_address(void **state)
{
    World *w = *state;
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(w->port) };
    const char *usual = stream_resolver;
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.2", &addr.sin_addr), 1);
    assert_int_equal(bind(silent, (struct sockaddr *) &addr, sizeof addr), 0);
    assert_int_equal(listen(silent, 8), 0);
    set_resolver("#!/bin/sh\necho '127.0.0.2 STREAM localhost'\necho '127.0.0.1 STREAM'\n");
    serve_tls(w, "good");
    dial(w, "localhost", "ca");
    hello(w);
    /* and is not waited for again */
    w->client.s = stream_free(w->client.s);
    w->client.opened = 0, w->client.in.len = 0;
    close(accept(silent, NULL, NULL));
    dial(w, "localhost", "ca");
    hello(w);
    assert_int_equal(accept(silent, NULL, NULL), -1);
    w->client.s = stream_free(w->client.s);
    /* when no other will do, the reason that says most is told */
    serve_tls(w, "other");
    close(silent);
    dial(w, "localhost", "ca");
    RUN_UNTIL(w, w->client.closed);
    assert_string_equal(w->client.id, "stream.tls");
    stream_resolver = usual;
}

static void test_free_inside(void **state)
{
    World *w = *state;
    serve_tls(w, "good");
    w->client.free_on_open = true;
    dial(w, "127.0.0.1", "ca");
    RUN_UNTIL(w, w->client.opened && w->server.closed);
    assert_null(w->client.s);
    w->client = (Side) { .in = w->client.in };
    w->server.free_on_data = true;
    dial(w, "127.0.0.1", "ca");
    RUN_UNTIL(w, w->client.opened);
    assert_int_equal(stream_send(w->client.s, "x", 1), 0);
    RUN_UNTIL(w, w->client.closed);
    assert_true(w->client.result < 0);
}

static void test_accepted_and_dropped(void **state)
{
    World *w = *state;
    w->accept_nothing = true;
    dial(w, "127.0.0.1", "ca");
    RUN_UNTIL(w, w->client.closed);
    assert_string_equal(w->client.id, "stream.tls");
}

#define ISSUED "-CA", "ca.pem", "-CAkey", "ca.key"
#define RUN(...) OPENSSL(folder, __VA_ARGS__)

/* "req" and "x509" only make certificates that are valid from now on; "ca" needs its settings in a file. */
static const char ca_settings[] = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\n"
                                  "default_md=sha256\npolicy=p\ncopy_extensions=copy\nunique_subject=no\n"
                                  "[p]\ncommonName=supplied\n";

#define CA "ca", "-batch", "-notext", "-config", "ca.conf"
#define FROM_TO(from, to) "-startdate", from "0101000000Z", "-enddate", to "0101000000Z"

static void make_aged_certificates(void)
{
    write_file("ca.conf", ca_settings, 0600);
    write_file("index", "", 0600);
    write_file("serial", "01\n", 0600);
    RUN("req", NEW_KEY, "-keyout", "ages.key", "-out", "ages.csr", "-subj", "/CN=ages", "-addext",
        "basicConstraints=critical,CA:TRUE");
    RUN(CA, "-selfsign", "-keyfile", "ages.key", "-in", "ages.csr", "-out", "ages.pem", FROM_TO("2000", "2049"));
    RUN("req", NEW_KEY, "-keyout", "past.key", "-out", "past.csr", "-subj", "/CN=past", "-addext",
        "subjectAltName=DNS:localhost");
    RUN(CA, "-cert", "ages.pem", "-keyfile", "ages.key", "-in", "past.csr", "-out", "past.pem",
        FROM_TO("2020", "2021"));
    RUN(CA, "-cert", "ages.pem", "-keyfile", "ages.key", "-in", "past.csr", "-out", "future.pem",
        FROM_TO("2040", "2041"));
    RUN(CA, "-cert", "ca.pem", "-keyfile", "ca.key", "-in", "past.csr", "-out", "early.pem", FROM_TO("2020", "2021"));
    RUN("pkey", "-in", "past.key", "-out", "future.key");
    RUN("pkey", "-in", "past.key", "-out", "early.key");
}

static int make_certificates(void **state _unused_)
{
    assert_non_null(mkdtemp(folder));
    RUN("req", "-x509", NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test ca");
    RUN("req", "-x509", NEW_KEY, "-keyout", "stranger.key", "-out", "stranger.pem", "-days", "2", "-subj",
        "/CN=stranger", "-addext", "subjectAltName=DNS:localhost");
    RUN("req", "-x509", ISSUED, NEW_KEY, "-keyout", "good.key", "-out", "good.pem", "-days", "2", "-subj", "/CN=good",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1");
    RUN("req", "-x509", ISSUED, NEW_KEY, "-keyout", "other.key", "-out", "other.pem", "-days", "2", "-subj",
        "/CN=localhost", "-addext", "subjectAltName=DNS:other.example,IP:192.0.2.1");
    RUN("req", NEW_KEY, "-keyout", "expired.key", "-out", "expired.csr", "-subj", "/CN=expired", "-addext",
        "subjectAltName=DNS:localhost");
    RUN("x509", "-req", "-in", "expired.csr", ISSUED, "-days", "-1", "-copy_extensions", "copy", "-out", "expired.pem");
    make_aged_certificates();
    return 0;
}

static int remove_certificates(void **state _unused_)
{
    return dir_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a06_a07_next_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls_by_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls_refused, setup, teardown),
        cmocka_unit_test(test_tls_files),
        cmocka_unit_test_setup_teardown(test_tls_to_plain_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plain_to_tls_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_while_dialing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bulk_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bulk_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writable_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writable_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_known_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resolver_hangs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accepted_and_dropped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
