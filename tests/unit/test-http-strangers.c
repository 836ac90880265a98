/* SPDX-License-Identifier: MIT */
/* Strangers at a server that knows some of its peers: what they hold, and whose place and body is taken from whom. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/http-caller.h"

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/server-conn-impl.h"

#define STRANGERS 8
#define SHARE (STRANGERS / 2)
#define PROXY 50 /* 127.0.0.51 */

typedef struct World {
    sd_event *event;
    HttpServer *server;
    HttpExchange *parked;
    unsigned handled, gone;
} World;

/* More than a socket takes from us while its peer reads nothing. */
static char big[8 * 1024 * 1024];

static void on_gone(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    (void) x;
    w->parked = NULL;
    w->gone++;
}

static void on_whole(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    size_t len;
    (void) http_body(x, &len);
    _cleanup_(freep) char *text = str_format("whole %zu", len);
    w->parked = NULL;
    http_respond(x, 200, "text/plain", text, strlen(text), NULL);
}

static void handler(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    w->handled++;
    if (str_equal(http_path(x), "/known"))
        http_note_known(x);
    http_on_gone(x, on_gone, w);
    if (str_equal(http_path(x), "/park"))
        w->parked = x;
    else if (str_equal(http_path(x), "/big"))
        http_respond(x, 200, "text/plain", big, sizeof big, NULL);
    else if (!http_body_is_coming(x) || str_equal(http_path(x), "/refused"))
        http_respond(x, 200, "text/plain", "bare", 4, NULL);
    else if (http_body_collect(x, HTTP_BODY_MAX, on_whole, w))
        on_whole(x, w);
}

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    HttpServerOptions options = { .address = "127.0.0.1",
                                  .max_connections = 2 * STRANGERS,
                                  .max_strangers = STRANGERS,
                                  .head_first = true,
                                  .forwarded_for = "127.0.0.51",
                                  .handler = handler,
                                  .userdata = w };
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    http_server_free(w->server);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

static int come_from(World *w, unsigned host, const char *text)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(http_server_port(w->server)) };
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + host) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof to), 0);
    client_send(w->event, fd, text, strlen(text));
    return fd;
}

#define RUN_UNTIL(w, condition)                                                                                        \
    while (!(condition))                                                                                               \
    assert_true(sd_event_run((w)->event, 10000) >= 0)

/* The answer has both texts; `ends` says whether the connection does. */
static void expect(World *w, int fd, const char *status, const char *text, bool ends)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(64 * 1024);
    assert_true(client_read(w->event, fd, &out, ends ? NULL : text) == ends);
    assert_non_null(strstr(out.data, status));
    assert_non_null(strstr(out.data, text));
}

static bool is_open(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

#define HEAD(path) path " HTTP/1.1\r\nHost: a\r\n"

/* Asks for much, and reads nothing of it. */
static int take_nothing(World *w, unsigned host)
{
    int fd = come_from(w, host, ""), small = 4096;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    client_send(w->event, fd, HEAD("GET /big") "\r\n", strlen(HEAD("GET /big") "\r\n"));
    return fd;
}

/* Who does not take his answers has no more than his address's share either, and keeps it for longer. */
static void test_taking_counts_too(void **state)
{
    World *w = *state;
    int many[SHARE];
    w->server->slow = 0;
    w->server->taking_slow = USEC_PER_HOUR;
    for (unsigned i = 0; i < SHARE; i++) {
        many[i] = take_nothing(w, 6);
        RUN_UNTIL(w, w->server->taking.n == i + 1);
    }
    _cleanup_(closep) int refused = come_from(w, 6, HEAD("GET /") "\r\n");
    _cleanup_(buf_done) Buf out = BUF_INIT(1024);
    assert_true(client_read(w->event, refused, &out, NULL));
    assert_int_equal(out.len, 0);
    assert_int_equal(w->server->taking.n, SHARE);
    _cleanup_(closep) int other = come_from(w, 7, HEAD("GET /") "\r\n");
    expect(w, other, " 200 ", "bare", false);
    w->server->taking_slow = 0;
    _cleanup_(closep) int next = come_from(w, 6, HEAD("GET /") "\r\n");
    expect(w, next, " 200 ", "bare", false);
    assert_int_equal(w->server->taking.n, SHARE - 1);
    for (unsigned i = 0; i < SHARE; i++)
        close(many[i]);
}

/* What he sends meanwhile does not keep the place of who takes nothing. */
static void test_talking_is_not_taking(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = take_nothing(w, 6);
    RUN_UNTIL(w, w->server->taking.n == 1);
    HttpConn *c = w->server->taking.oldest;
    size_t queued;
    do { /* his socket may still take some */
        size_t here = c->in.len;
        queued = stream_queued(c->stream);
        c->since = 1;
        client_send(w->event, fd, "G", 1);
        RUN_UNTIL(w, c->in.len > here);
    } while (stream_queued(c->stream) < queued);
    assert_int_equal(c->since, 1);
}

/* A request that is refused at its end does not stand in front of those that are slower. */
static void test_an_end_goes_behind_the_others(void **state)
{
    World *w = *state;
    _cleanup_(closep) int first = come_from(w, 6, "GET");
    RUN_UNTIL(w, w->server->pending.n == 1);
    _cleanup_(closep) int second = come_from(w, 6, "GET");
    RUN_UNTIL(w, w->server->pending.n == 2);
    HttpConn *c = w->server->pending.oldest;
    client_send(w->event, first, " nonsense\r\n\r\n", strlen(" nonsense\r\n\r\n"));
    RUN_UNTIL(w, c->phase == HTTP_ENDING);
    assert_ptr_equal(w->server->pending.newest, c);
    assert_ptr_equal(c->caller->strangers.newest, c);
    assert_true(is_open(second));
}

/* One address has its share, and then makes room for itself alone. */
static void test_one_address_pushes_itself_out(void **state)
{
    World *w = *state;
    _cleanup_(closep) int other = come_from(w, 5, "GET");
    int many[3 * SHARE];
    RUN_UNTIL(w, w->server->n_conns == 1);
    w->server->slow = 0;
    for (unsigned i = 0; i < ELEMENTSOF(many); i++) {
        many[i] = come_from(w, 6, "GET");
        RUN_UNTIL(w,
                  w->server->pending.n == 1 + (i < SHARE ? i + 1 : SHARE) && (i < SHARE || !is_open(many[i - SHARE])));
    }
    assert_int_equal(w->server->n_conns, 1 + SHARE);
    assert_true(is_open(other));
    for (unsigned i = 0; i < ELEMENTSOF(many); i++) {
        assert_int_equal(is_open(many[i]), i >= ELEMENTSOF(many) - SHARE);
        close(many[i]);
    }
}

/* Strangers from everywhere take each other's places, and never those of who is known. */
static void test_the_known_stay(void **state)
{
    World *w = *state;
    _cleanup_(closep) int known = come_from(w, 1, HEAD("GET /known") "\r\n");
    int many[2 * STRANGERS];
    expect(w, known, " 200 ", "bare", false);
    assert_int_equal(w->server->n_known, 1);
    w->server->slow = 0;
    for (unsigned i = 0; i < ELEMENTSOF(many); i++) {
        many[i] = come_from(w, 10 + i, "GET");
        RUN_UNTIL(w, w->server->pending.newest && (i < STRANGERS || !is_open(many[i - STRANGERS])));
    }
    RUN_UNTIL(w, w->server->n_conns == 1 + STRANGERS);
    client_send(w->event, known, HEAD("GET /again") "\r\n", strlen(HEAD("GET /again") "\r\n"));
    expect(w, known, " 200 ", "bare", false);
    for (unsigned i = 0; i < ELEMENTSOF(many); i++)
        close(many[i]);
    RUN_UNTIL(w, w->server->n_conns == 1);
    assert_int_equal(http_callers_count(w->server->callers), 1);
}

static void test_who_is_young_is_not_pushed_out(void **state)
{
    World *w = *state;
    int first[SHARE];
    w->server->slow = USEC_PER_MINUTE;
    for (unsigned i = 0; i < SHARE; i++)
        first[i] = come_from(w, 6, "GET");
    RUN_UNTIL(w, w->server->n_conns == SHARE);
    _cleanup_(closep) int last = come_from(w, 6, "GET");
    _cleanup_(buf_done) Buf out = BUF_INIT(1024);
    assert_true(client_read(w->event, last, &out, NULL));
    for (unsigned i = 0; i < SHARE; i++) {
        assert_true(is_open(first[i]));
        close(first[i]);
    }
}

/* An address from which somebody known came has a place where strangers find none. */
static void test_a_known_address_has_a_place(void **state)
{
    World *w = *state;
    int many[STRANGERS];
    w->server->slow = USEC_PER_MINUTE;
    int known = come_from(w, 1, HEAD("GET /known") "Connection: close\r\n\r\n");
    expect(w, known, " 200 ", "bare", true);
    close(known);
    RUN_UNTIL(w, w->server->n_conns == 0);
    for (unsigned i = 0; i < STRANGERS; i++)
        many[i] = come_from(w, 10 + i, "GET");
    RUN_UNTIL(w, w->server->n_conns == STRANGERS);
    _cleanup_(closep) int stranger = come_from(w, 100, HEAD("GET /") "\r\n");
    _cleanup_(buf_done) Buf out = BUF_INIT(1024);
    assert_true(client_read(w->event, stranger, &out, NULL));
    assert_int_equal(out.len, 0);
    _cleanup_(closep) int back = come_from(w, 1, HEAD("GET /") "\r\n");
    expect(w, back, " 200 ", "bare", false);
    for (unsigned i = 0; i < STRANGERS; i++)
        close(many[i]);
}

/* A body that comes at the rate it has to is not ended for others, one that stands still is. */
static void test_a_body_that_moves_stays(void **state)
{
    World *w = *state;
    int moving[SHARE];
    static char some[60000]; /* a minute's worth */
    memset(some, 'x', sizeof some);
    w->server->slow = 0;
    w->server->body_look = USEC_PER_HOUR;
    for (unsigned i = 0; i < SHARE; i++)
        moving[i] = come_from(w, 6, HEAD("POST /") "Content-Length: 100000\r\n\r\n");
    RUN_UNTIL(w, w->handled == SHARE);
    /* it has been two seconds: one byte is too little for them */
    for (HttpConn *c = w->server->pending.oldest; c; c = c->places[LINE_SERVER].newer)
        c->since -= 2 * USEC_PER_SEC;
    client_send(w->event, moving[0], some, sizeof some);
    client_send(w->event, moving[1], some, 1);
    HttpConn *first = w->server->pending.oldest;
    RUN_UNTIL(w, w->server->pending.newest->x->body.len == sizeof some);
    assert_ptr_not_equal(w->server->pending.newest, first);
    for (unsigned i = 1; i < SHARE; i++) {
        int next = come_from(w, 6, HEAD("POST /") "Content-Length: 100000\r\n\r\n");
        RUN_UNTIL(w, !is_open(moving[i]));
        close(moving[i]);
        moving[i] = next;
    }
    assert_true(is_open(moving[0]));
    for (unsigned i = 0; i < SHARE; i++)
        close(moving[i]);
}

/* What has come with the head is dropped with the answer; what has not ends the connection. */
static void test_a_refused_body(void **state)
{
    World *w = *state;
    static const char here[] = HEAD("POST /refused") "Content-Length: 4\r\n\r\nbody";
    static const char coming[] = HEAD("POST /refused") "Content-Length: 5\r\n\r\nbody";
    static const char chunks[] = HEAD("POST /refused") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    _cleanup_(closep) int fd = client_open(w->server);
    client_send(w->event, fd, here, strlen(here));
    expect(w, fd, " 200 ", "bare", false);
    client_send(w->event, fd, chunks, strlen(chunks));
    expect(w, fd, " 200 ", "bare", false);
    client_send(w->event, fd, HEAD("GET /") "\r\n", strlen(HEAD("GET /") "\r\n"));
    expect(w, fd, " 200 ", "bare", false);
    client_send(w->event, fd, coming, strlen(coming));
    expect(w, fd, "Connection: close", "bare", true);
    assert_int_equal(w->handled, 4);
}

static void test_a_body_is_collected(void **state)
{
    World *w = *state;
    static const char post[] = HEAD("POST /") "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    static const char chunks[] = HEAD("POST /") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    _cleanup_(closep) int fd = client_open(w->server);
    client_send(w->event, fd, post, strlen(post));
    expect(w, fd, "100 Continue", "\r\n\r\n", false);
    assert_int_equal(w->server->stranger_bytes, 4);
    client_send(w->event, fd, "body", 4);
    expect(w, fd, " 200 ", "whole 4", false);
    assert_int_equal(w->server->stranger_bytes, 0);
    client_send(w->event, fd, HEAD("GET /known") "\r\n", strlen(HEAD("GET /known") "\r\n"));
    expect(w, fd, " 200 ", "bare", false);
    client_send(w->event, fd, chunks, strlen(chunks));
    expect(w, fd, " 200 ", "whole 3", false);
    assert_int_equal(w->server->known_bytes, 0);
    assert_int_equal(w->gone, 0);
}

/* What is announced counts from the head on, by address and in all. */
static void test_bodies_have_a_budget(void **state)
{
    World *w = *state;
    char post[128];
    (void) snprintf(post, sizeof post, HEAD("POST /") "Content-Length: %zu\r\n\r\n", HTTP_BODIES_CALLER_MAX);
    _cleanup_(closep) int first = come_from(w, 6, post);
    RUN_UNTIL(w, w->handled == 1);
    _cleanup_(closep) int second = come_from(w, 6, HEAD("POST /") "Content-Length: 1\r\n\r\n");
    expect(w, second, " 503 ", "\"http.busy\"", true);
    assert_int_equal(w->gone, 1);
    _cleanup_(closep) int third = come_from(w, 7, HEAD("POST /") "Content-Length: 1\r\n\r\nx");
    expect(w, third, " 200 ", "whole 1", false);
    w->server->stranger_bytes += HTTP_BODIES_STRANGERS_MAX - HTTP_BODIES_CALLER_MAX;
    _cleanup_(closep) int fourth = come_from(w, 8, HEAD("POST /") "Content-Length: 1\r\n\r\nx");
    expect(w, fourth, "Retry-After: 5", "\"http.busy\"", true);
    _cleanup_(closep) int known = come_from(w, 9, HEAD("POST /known") "Content-Length: 1\r\n\r\nx");
    expect(w, known, " 200 ", "whole 1", false);
    /* what is reserved is given back with its connection */
    close(TAKE_FD(first));
    RUN_UNTIL(w, w->server->stranger_bytes == HTTP_BODIES_STRANGERS_MAX - HTTP_BODIES_CALLER_MAX);
}

/* Those for whom a proxy speaks do not share what is one address's. */
static void test_bodies_behind_a_proxy(void **state)
{
    World *w = *state;
    char post[160];
    (void) snprintf(post, sizeof post, HEAD("POST /") "X-Forwarded-For: 192.0.2.1\r\nContent-Length: %zu\r\n\r\n",
                    HTTP_BODIES_CALLER_MAX);
    _cleanup_(closep) int first = come_from(w, PROXY, post);
    RUN_UNTIL(w, w->handled == 1);
    _cleanup_(closep) int other =
        come_from(w, PROXY, HEAD("POST /") "X-Forwarded-For: 192.0.2.2\r\nContent-Length: 1\r\n\r\nx");
    expect(w, other, " 200 ", "whole 1", false);
    _cleanup_(closep) int same =
        come_from(w, PROXY, HEAD("POST /") "X-Forwarded-For: 192.0.2.1\r\nContent-Length: 1\r\n\r\nx");
    expect(w, same, " 503 ", "\"http.busy\"", true);
    close(TAKE_FD(first));
    RUN_UNTIL(w, w->server->stranger_bytes == 0);
    assert_int_equal(http_callers_count(w->server->callers), 1); /* the proxy */
}

/* Bytes that come one by one do not keep a place. */
static void test_a_body_comes_at_a_rate(void **state)
{
    World *w = *state;
    w->server->body_look = 50 * USEC_PER_MSEC;
    _cleanup_(closep) int fd = come_from(w, 6, HEAD("POST /") "Content-Length: 100000\r\n\r\nxyz");
    expect(w, fd, " 408 ", "\"http.timeout\"", true);
    assert_int_equal(w->gone, 1);
    assert_int_equal(w->server->stranger_bytes, 0);
}

/* While the handler makes up its mind nothing of the body is read, and a peer that leaves is noticed. */
static void test_gone_before_the_body(void **state)
{
    World *w = *state;
    int fd = come_from(w, 6, HEAD("POST /park") "Content-Length: 100000\r\n\r\nxyz");
    RUN_UNTIL(w, w->parked);
    struct linger hard = { .l_onoff = 1 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
    RUN_UNTIL(w, w->gone == 1);
    assert_int_equal(w->server->n_conns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_address_pushes_itself_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_taking_counts_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_talking_is_not_taking, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_end_goes_behind_the_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_known_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_young_is_not_pushed_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_known_address_has_a_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_body_that_moves_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refused_body, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_body_is_collected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bodies_have_a_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bodies_behind_a_proxy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_body_comes_at_a_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_before_the_body, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
