/* SPDX-License-Identifier: MIT */
/* Answers of the HTTP server whose body comes piece by piece from elsewhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/piped-answer.h"
#include "tests/unit/http-caller.h"

#define PIECE ((size_t) 50000)
#define PIECES 40

typedef struct World {
    sd_event *event;
    HttpServer *server;
    PipedAnswer *answer;
    uint64_t len;
    unsigned sent, gone, limit; /* pieces */
    int r;
} World;

static void fill(char *piece, unsigned n)
{
    memset(piece, 'a' + (int) (n % 23), PIECE);
}

static void on_room(PipedAnswer *a, void *userdata)
{
    World *w = userdata;
    char piece[PIECE];

    if (w->sent == w->limit) {
        piped_answer_finish(a);
        return;
    }
    fill(piece, w->sent++);
    assert_int_equal(piped_answer_send(a, piece, sizeof(piece)), 0);
    piped_answer_want(a, true);
}

static void on_gone(PipedAnswer *a _unused_, void *userdata)
{
    World *w = userdata;

    w->gone++;
    w->answer = NULL;
}

static void handler(HttpExchange *x, void *userdata)
{
    static const PipedAnswerEvents events = { .on_room = on_room, .on_gone = on_gone };
    static const char *const headers[] = { "X-More: 1", NULL };
    World *w = userdata;

    w->r = piped_answer_new(x, 206, "text/plain", w->len, headers, &events, w, &w->answer);
    if (w->r < 0)
        http_respond(x, 400, NULL, NULL, 0, NULL);
    else
        piped_answer_want(w->answer, true);
}

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    HttpServerOptions options = { .address = "127.0.0.1", .handler = handler, .userdata = w };

    assert_non_null(w);
    w->limit = PIECES;
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(http_server_new(w->event, &options, &w->server, NULL) >= 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;

    piped_answer_free(w->answer);
    http_server_free(w->server);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

static void ask(World *w, int fd, const char *request)
{
    client_send(w->event, fd, request, strlen(request));
}

static void assert_pieces(const char *body)
{
    char piece[PIECE];

    for (unsigned i = 0; i < PIECES; i++) {
        fill(piece, i);
        assert_memory_equal(body + i * PIECE, piece, PIECE);
    }
}

static void test_known_length(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(PIECE * PIECES + 4096);

    w->len = PIECE * PIECES;
    ask(w, fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(client_read(w->event, fd, &out, NULL));
    assert_non_null(strstr(out.data, "HTTP/1.1 206 Partial Content\r\n"));
    assert_non_null(strstr(out.data, "Content-Length: 2000000\r\n"));
    assert_non_null(strstr(out.data, "Connection: close\r\n"));
    assert_non_null(strstr(out.data, "X-More: 1\r\n"));
    const char *body = strstr(out.data, "\r\n\r\n") + 4;
    assert_int_equal(out.len - (size_t) (body - out.data), PIECE * PIECES);
    assert_pieces(body);
    while (w->gone == 0)
        assert_true(sd_event_run(w->event, 1000) >= 0);
}

/* The end is told, so that a line that was cut is not taken for it. */
static void test_chunks(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    _cleanup_(buf_done) Buf out = BUF_INIT(PIECE * PIECES + 16384), body = BUF_INIT(PIECE * PIECES);
    HttpHead head = {};
    HttpBody reader;
    size_t scanned = 0, used = 0;

    w->len = HTTP_LENGTH_UNKNOWN;
    ask(w, fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(client_read(w->event, fd, &out, NULL));
    int n = http_head_find(out.data, out.len, &scanned, NULL);
    assert_true(n > 0);
    assert_int_equal(http_response_parse(out.data, (size_t) n, &head, NULL), 0);
    assert_true(head.chunked && !head.has_length);
    http_body_init(&reader, &head, &body);
    assert_int_equal(http_body_feed(&reader, out.data + n, out.len - (size_t) n, &used, NULL), 1);
    assert_int_equal(body.len, PIECE * PIECES);
    assert_pieces(body.data);
    http_head_done(&head);
}

/* Not a byte more is sent than there is room for. */
static void test_a_peer_that_takes_nothing(void **state)
{
    World *w = *state;
    _cleanup_(closep) int fd = client_open(w->server);
    unsigned before;

    w->len = HTTP_LENGTH_UNKNOWN;
    w->limit = 100000;
    ask(w, fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while (w->sent == 0)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    do {
        before = w->sent;
        for (unsigned i = 0; i < 200; i++)
            assert_true(sd_event_run(w->event, 1000) >= 0);
    } while (w->sent > before);
    assert_true(w->sent < w->limit);
    close(fd);
    fd = -1;
    while (w->gone == 0)
        assert_true(sd_event_run(w->event, 1000) >= 0);
    assert_null(w->answer);
}

static void test_what_cannot_be_piped(void **state)
{
    World *w = *state;
    static const char *const requests[] = { "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                                            "GET / HTTP/1.0\r\n\r\n" };

    for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
        _cleanup_(closep) int fd = client_open(w->server);
        _cleanup_(buf_done) Buf out = BUF_INIT(4096);

        ask(w, fd, requests[i]);
        assert_true(client_read(w->event, fd, &out, NULL));
        assert_int_equal(w->r, -ENOTCONN);
        assert_non_null(strstr(out.data, "HTTP/1.1 400 "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_known_length, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_peer_that_takes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_piped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
