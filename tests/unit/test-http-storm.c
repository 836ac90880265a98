/* SPDX-License-Identifier: MIT */
/* More TLS handshakes than the server takes on at one time: the others wait, their addresses take turns, the loop sleeps, and each
 * one that ends lets the next one in. */
#include "tests/unit/certificate.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/server-conn.h"

#define PLACES 2
#define CROWD 6
/* A loop that spins turns thousands of times in this. */
#define WATCHED (300 * USEC_PER_MSEC)
#define TURNS_MAX 50

static char folder[] = "/tmp/secbox-storm-XXXXXX";

typedef struct World {
    sd_event *event;
    HttpServer *server;
    Tls *tls;
    Stream *client;
    unsigned handled, answered, failed;
    int crowd[CROWD];
} World;

static void handler(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    w->handled++;
    http_respond(x, 200, "text/plain", "in", 2, NULL);
}

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    _cleanup_(freep) char *cert = str_format("%s/cert.pem", folder);
    _cleanup_(freep) char *key = str_format("%s/key.pem", folder);
    HttpServerOptions options = { .address = "127.0.0.1",
                                  .cert_file = cert,
                                  .key_file = key,
                                  .max_handshakes = PLACES,
                                  .handler = handler,
                                  .userdata = w };
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    w->server->hello_slow = USEC_PER_MINUTE; /* nobody is sent away for it */
    assert_true(tls_new_client(cert, &w->tls, NULL) >= 0);
    for (size_t i = 0; i < CROWD; i++)
        w->crowd[i] = -1;
    *state = w;
    return 0;
}

static void leave(World *w, size_t i)
{
    if (w->crowd[i] >= 0)
        close(TAKE_FD(w->crowd[i]));
}

static int teardown(void **state)
{
    World *w = *state;
    stream_free(w->client);
    for (size_t i = 0; i < CROWD; i++)
        leave(w, i);
    http_server_free(w->server);
    tls_free(w->tls);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

static void come_from(World *w, size_t i, uint32_t host, const void *data, size_t len)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(http_server_port(w->server)) };
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(host) };
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(w->crowd[i] >= 0);
    assert_int_equal(bind(w->crowd[i], (struct sockaddr *) &from, sizeof from), 0);
    assert_int_equal(connect(w->crowd[i], (struct sockaddr *) &addr, sizeof addr), 0);
    assert_int_equal(send(w->crowd[i], data, len, MSG_NOSIGNAL), len);
}

static void come_with(World *w, size_t i, const void *data, size_t len)
{
    come_from(w, i, INADDR_LOOPBACK, data, len);
}

/* Connects and begins a TLS record that never ends. */
static const uint8_t begin[] = { 0x16, 0x03, 0x01, 0x01, 0x00, 0x01 };

static void come(World *w, size_t i)
{
    come_with(w, i, begin, sizeof begin);
}

/* The first words of a client who then says nothing more. */
static size_t make_hello(uint8_t *to, size_t size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    assert_true(SSL_do_handshake(ssl) < 0);
    int n = BIO_read(out, to, (int) size);
    assert_true(n > 0 && (size_t) n < size);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return (size_t) n;
}

/* How often the loop wakes up in a while. */
static unsigned turns(World *w)
{
    unsigned n = 0;
    usec_t end = boottime_usec() + WATCHED;
    while (boottime_usec() < end)
        if (sd_event_run(w->event, WATCHED) > 0)
            n++;
    return n;
}

#define RUN_UNTIL(w, condition)                                                                                        \
    while (!(condition))                                                                                               \
    assert_true(sd_event_run((w)->event, 10000) >= 0)

static void on_client_open(Stream *s, void *userdata)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    (void) userdata;
    assert_true(stream_send(s, request, sizeof request - 1) >= 0);
}

static void on_client_data(Stream *s, const uint8_t *data, size_t len, void *userdata)
{
    World *w = userdata;
    (void) s;
    assert_non_null(memmem(data, len, " 200 ", 5));
    w->answered++;
}

static void on_client_closed(Stream *s, int r, const Error *err, void *userdata)
{
    World *w = userdata;
    (void) r;
    (void) err;
    w->failed++;
    w->client = stream_free(s);
}

static const StreamEvents client_events = {
    .on_open = on_client_open,
    .on_data = on_client_data,
    .on_closed = on_client_closed,
};

static void good_client(World *w)
{
    w->client = stream_free(w->client);
    const StreamTarget target = { .host = "127.0.0.1", .port = http_server_port(w->server), .tls = w->tls };
    assert_true(stream_connect(w->event, &target, &client_events, w, &w->client, NULL) >= 0);
}

static void test_places_are_bounded(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < CROWD; i++)
        come(w, i);
    RUN_UNTIL(w, w->server->n_handshakes[0] == PLACES);
    assert_true(turns(w) < TURNS_MAX);
    assert_int_equal(w->server->n_handshakes[0], PLACES);
    assert_int_equal(w->server->n_waiting, CROWD - PLACES);

    /* when places get free the next ones have them; those who gave up while they waited are passed over */
    good_client(w);
    for (size_t i = 0; i < CROWD; i++)
        leave(w, i);
    RUN_UNTIL(w, w->answered == 1);
    assert_int_equal(w->handled, 1);
    assert_int_equal(w->failed, 0);
    assert_int_equal(w->server->n_handshakes[0], 0);
    assert_int_equal(w->server->n_conns, 1);
}

/* A connection that is only kept open takes no place. */
static void test_idle_takes_no_place(void **state)
{
    World *w = *state;
    Stream *idle[PLACES + 1] = {};
    for (size_t i = 0; i < ELEMENTSOF(idle); i++) {
        good_client(w);
        RUN_UNTIL(w, w->answered == i + 1);
        idle[i] = TAKE_PTR(w->client);
    }
    assert_int_equal(w->server->n_handshakes[0], 0);
    assert_int_equal(w->server->n_conns, ELEMENTSOF(idle));
    assert_true(turns(w) < TURNS_MAX);
    for (size_t i = 0; i < ELEMENTSOF(idle); i++)
        stream_free(idle[i]);
}

/* Strangers who stall before the server's answer, and after it; none of them ever leaves. */
static void check_stalled(World *w, const void *data, size_t len)
{
    w->server->hello_slow = 50 * USEC_PER_MSEC;
    for (size_t i = 0; i < CROWD; i++)
        come_with(w, i, data, len);
    good_client(w);
    RUN_UNTIL(w, w->answered == 1 || w->failed > 0);
    assert_int_equal(w->answered, 1);
    assert_true(w->server->n_conns <= 1 + PLACES);
    assert_true(turns(w) < TURNS_MAX);
}

static void test_a21_stalled_hellos_keep_nobody_out(void **state)
{
    check_stalled(*state, begin, 3);
}

static void test_a21_stalled_answers_keep_nobody_out(void **state)
{
    uint8_t hello[4096];
    size_t len = make_hello(hello, sizeof hello);
    check_stalled(*state, hello, len);
}

/* Whoever comes alone has his turn before the second of many from one address. */
static void test_addresses_take_turns(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < CROWD; i++)
        come_from(w, i, INADDR_LOOPBACK + 1, begin, sizeof begin);
    RUN_UNTIL(w, w->server->n_waiting == CROWD - PLACES);
    good_client(w);
    RUN_UNTIL(w, w->server->n_waiting == CROWD - PLACES + 1);
    for (size_t i = 0; i < PLACES; i++)
        leave(w, i);
    RUN_UNTIL(w, w->answered == 1);
    /* one of the crowd before it, and one in its place behind it */
    assert_int_equal(w->server->n_waiting, CROWD - PLACES - 2);
}

static void make_known(World *w, const char *address)
{
    HttpCaller *known = http_caller_hold(w->server->callers, address);
    assert_non_null(known);
    http_caller_note_known(w->server->callers, known);
    http_caller_release(w->server->callers, known);
}

/* An address that is known need not wait where strangers do. */
static void test_the_known_have_places(void **state)
{
    World *w = *state;
    make_known(w, "127.0.0.1:1");
    for (size_t i = 0; i < CROWD; i++)
        come_from(w, i, INADDR_LOOPBACK + 1, begin, sizeof begin);
    RUN_UNTIL(w, w->server->n_waiting == CROWD - PLACES);
    good_client(w);
    RUN_UNTIL(w, w->answered == 1);
    assert_int_equal(w->server->n_waiting, CROWD - PLACES);
}

/* Nor does a stranger wait where a known address has begun too many. */
static void test_strangers_have_places(void **state)
{
    World *w = *state;
    make_known(w, "127.0.0.2:1");
    for (size_t i = 0; i < CROWD; i++)
        come_from(w, i, INADDR_LOOPBACK + 1, begin, sizeof begin);
    RUN_UNTIL(w, w->server->n_waiting > 0);
    assert_int_equal(w->server->n_handshakes[1], PLACES);
    good_client(w);
    while (w->answered == 0) {
        assert_true(sd_event_run(w->event, 10000) >= 0);
        assert_null(w->server->turns[0].first);
    }
    assert_int_equal(w->failed, 0);
}

/* Its turn among strangers is its last one there. */
static void test_known_while_it_waits(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < CROWD; i++)
        come_from(w, i, INADDR_LOOPBACK + 1, begin, sizeof begin);
    RUN_UNTIL(w, w->server->n_waiting == CROWD - PLACES);
    make_known(w, "127.0.0.2:1");
    leave(w, 0);
    RUN_UNTIL(w, w->server->n_waiting < CROWD - PLACES);
    assert_int_equal(w->server->n_handshakes[0], PLACES);
    assert_int_equal(w->server->n_handshakes[1], PLACES);
    assert_int_equal(w->server->n_waiting, CROWD - 1 - 2 * PLACES);
}

/* Whoever waits takes the place of one who stalls: the others keep theirs. */
static void check_one_gives_way(World *w, bool known)
{
    w->server->hello_slow = 50 * USEC_PER_MSEC;
    if (known)
        make_known(w, "127.0.0.1:1");
    for (size_t i = 0; i <= PLACES; i++)
        come(w, i);
    RUN_UNTIL(w, w->server->n_waiting == 1);
    RUN_UNTIL(w, w->server->n_waiting == 0);
    assert_int_equal(w->server->n_handshakes[known], PLACES);
}

static void test_one_stranger_gives_way(void **state)
{
    check_one_gives_way(*state, false);
}

static void test_one_of_the_known_gives_way(void **state)
{
    check_one_gives_way(*state, true);
}

static void test_freed_while_full(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < CROWD; i++)
        come(w, i);
    RUN_UNTIL(w, w->server->n_handshakes[0] == PLACES);
    w->server = http_server_free(w->server);
}

static int make_certificate(void **state)
{
    (void) state;
    assert_non_null(mkdtemp(folder));
    make_self_signed(folder, "key.pem", "cert.pem", "IP:127.0.0.1");
    return 0;
}

static int remove_certificate(void **state)
{
    (void) state;
    return dir_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_places_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle_takes_no_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a21_stalled_hellos_keep_nobody_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a21_stalled_answers_keep_nobody_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_known_have_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strangers_have_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_known_while_it_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_stranger_gives_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_of_the_known_gives_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_while_full, setup, teardown),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
