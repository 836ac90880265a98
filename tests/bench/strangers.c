/* SPDX-License-Identifier: MIT */
/* strangers ADDRESS PORT COUNT ADDRESSES: COUNT connections of ten kinds to a TLS server at an IPv4 loopback address, none of which
 * does what a client should, from ADDRESSES addresses of 127.9.0.0/16. Each goes on as slowly as it can, and comes back one second
 * after it was sent away. Prints a line each second: seconds since the start, open connections, how many were begun.
 * Ends with its standard input. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/strv.h"

#define NETWORK 0x7f090000u
#define TICK_MS 100
#define STARTS_PER_TICK 300
#define GO_ON_EVERY (2 * USEC_PER_SEC)
#define COME_BACK_AFTER (1 * USEC_PER_SEC)
#define EVENTS_MAX 512

#define TOKEN_CHARS "0123456789abcdefghijklmnopqrstuvwxyz0123456"
#define REQUEST(line) line " HTTP/1.1\r\nHost: a\r\n"
#define UNKNOWN_PATH REQUEST("GET /nowhere") "\r\n"
#define MADE_UP_TOKEN REQUEST("GET /v1/devices") "Authorization: Bearer sbx_" TOKEN_CHARS "\r\n\r\n"
#define MADE_UP_TUNNEL                                                                                                 \
    REQUEST("GET /mgmt")                                                                                               \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: secbox.v1\r\n"  \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer made.up.token\r\n\r\n"

typedef struct Kind {
    bool tls;
    const char *first; /* NULL: a TLS hello, and nothing more */
    const char *next;  /* again and again */
} Kind;

static const Kind kinds[] = {
    { false, "", "" },                           /* never says a word */
    { false, "\x16\x03\x01\x02", "" },           /* begins a hello */
    { false, NULL, "" },                         /* leaves our answer unanswered */
    { false, UNKNOWN_PATH, "" },                 /* speaks no TLS */
    { true, REQUEST("GET /") "X-Slow: a", "b" }, /* a head without an end */
    { true, REQUEST("POST /api/device/claim") "Content-Length: 16000\r\n\r\n{", " " },
    { true, REQUEST("POST /nowhere") "Content-Length: 1000000\r\n\r\n{", " " },
    { true, UNKNOWN_PATH, UNKNOWN_PATH },
    { true, MADE_UP_TOKEN, MADE_UP_TOKEN },
    { true, MADE_UP_TUNNEL, MADE_UP_TUNNEL },
};

typedef struct Stranger {
    const Kind *kind;
    uint32_t from;
    int fd;
    SSL *ssl;
    bool talks; /* has said its first words */
    usec_t due;
} Stranger;

typedef struct Crowd {
    struct sockaddr_in to;
    Stranger *all;
    uint64_t n, open, begun;
    SSL_CTX *tls;
    char hello[4096];
    size_t hello_len;
    int epoll;
} Crowd;

static void leave(Crowd *c, Stranger *s)
{
    SSL_free(s->ssl);
    s->ssl = NULL;
    close(TAKE_FD(s->fd));
    s->talks = false;
    s->due = boottime_usec() + COME_BACK_AFTER;
    c->open--;
}

static void come(Crowd *c, Stranger *s)
{
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(s->from) };
    int yes = 1;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s };
    s->due = boottime_usec() + COME_BACK_AFTER;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return;
    c->open++;
    c->begun++;
    /* the port is chosen with the connection: there are enough of them for each address we come from */
    if (setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) < 0 ||
        bind(s->fd, (struct sockaddr *) &from, sizeof from) < 0 ||
        (connect(s->fd, (struct sockaddr *) &c->to, sizeof c->to) < 0 && errno != EINPROGRESS) ||
        epoll_ctl(c->epoll, EPOLL_CTL_ADD, s->fd, &event) < 0) {
        leave(c, s);
        return;
    }
    if (!s->kind->tls)
        return;
    s->ssl = SSL_new(c->tls);
    if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
        leave(c, s);
    else
        SSL_set_connect_state(s->ssl);
}

/* Whatever is not taken is not said. */
static bool say(const Stranger *s, const char *text, size_t len)
{
    if (len == 0)
        return true;
    if (s->ssl)
        return SSL_write(s->ssl, text, (int) len) > 0 || SSL_want_write(s->ssl) || SSL_want_read(s->ssl);
    return send(s->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno == EAGAIN;
}

/* 1: goes on; 0: later; negative: it is over. */
static int handshake(const Stranger *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLOUT };
    if (poll(&p, 1, 0) < 1 || !(p.revents & POLLOUT))
        return p.revents & (POLLERR | POLLHUP) ? -ECONNRESET : 0;
    if (!s->ssl)
        return 1;
    int r = SSL_do_handshake(s->ssl);
    if (r == 1)
        return 1;
    return SSL_want_read(s->ssl) || SSL_want_write(s->ssl) ? 0 : -EPROTO;
}

/* Answers are of no interest. */
static bool still_there(const Stranger *s)
{
    char answer[4096];
    for (;;) {
        int n =
            s->ssl ? SSL_read(s->ssl, answer, sizeof answer) : (int) recv(s->fd, answer, sizeof answer, MSG_DONTWAIT);
        if (n > 0)
            continue;
        return s->ssl ? SSL_want_read(s->ssl) : n < 0 && errno == EAGAIN;
    }
}

static void on_event(Crowd *c, Stranger *s)
{
    int r = s->talks ? 0 : handshake(s);
    if (r > 0) {
        const char *text = s->kind->first ? s->kind->first : c->hello;
        r = say(s, text, s->kind->first ? strlen(text) : c->hello_len) ? 0 : -EPIPE;
        s->talks = true;
        s->due = boottime_usec() + GO_ON_EVERY;
    }
    if (r < 0 || (s->talks && !still_there(s)))
        leave(c, s);
}

static void tick(Crowd *c)
{
    usec_t now = boottime_usec();
    unsigned starts = 0;
    for (Stranger *s = c->all; s < c->all + c->n; s++) {
        if (now < s->due)
            continue;
        if (s->fd < 0 && starts < STARTS_PER_TICK) {
            starts++;
            come(c, s);
        } else if (s->fd >= 0 && s->talks) {
            s->due = now + GO_ON_EVERY;
            if (!say(s, s->kind->next, strlen(s->kind->next)))
                leave(c, s);
        }
    }
}

/* What a client says first, without its connection. */
static int make_hello(Crowd *c)
{
    SSL *ssl = SSL_new(c->tls);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!ssl || !in || !out)
        return -ENOMEM;
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    (void) SSL_do_handshake(ssl);
    int n = BIO_read(out, c->hello, sizeof c->hello);
    SSL_free(ssl);
    c->hello_len = n > 0 ? (size_t) n : 0;
    return n > 0 ? 0 : -EPROTO;
}

static int crowd_init(Crowd *c, uint64_t addresses)
{
    c->all = calloc(c->n, sizeof *c->all);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->tls = SSL_CTX_new(TLS_client_method());
    if (!c->all || c->epoll < 0 || !c->tls)
        return -ENOMEM;
    (void) SSL_CTX_set_mode(c->tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(c->tls, SSL_VERIFY_NONE, NULL);
    for (uint64_t i = 0; i < c->n; i++)
        c->all[i] = (Stranger) { .kind = &kinds[i % ELEMENTSOF(kinds)],
                                 .from = NETWORK + 1 + (uint32_t) (i / ELEMENTSOF(kinds) % addresses),
                                 .fd = -1 };
    return make_hello(c);
}

static void crowd_run(Crowd *c)
{
    struct epoll_event events[EVENTS_MAX], input = { .events = EPOLLIN };
    usec_t start = boottime_usec(), told = 0, ticked = 0;
    char ignored[64];
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
        return;
    for (;;) {
        int n = epoll_wait(c->epoll, events, EVENTS_MAX, TICK_MS);
        usec_t now = boottime_usec();
        for (int i = 0; i < n; i++) {
            Stranger *s = events[i].data.ptr;
            if (!s && read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
                return;
            if (s && s->fd >= 0)
                on_event(c, s);
        }
        if (now - ticked >= TICK_MS * USEC_PER_MSEC) {
            ticked = now;
            tick(c);
        }
        if (now - told < USEC_PER_SEC)
            continue;
        told = now;
        (void) printf("%.1f %llu %llu\n", (double) (now - start) / (double) USEC_PER_SEC, (unsigned long long) c->open,
                      (unsigned long long) c->begun);
        (void) fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    Crowd c = { .to.sin_family = AF_INET };
    uint64_t port = 0, addresses = 0;
    struct rlimit files = {};
    if (argc != 5 || inet_pton(AF_INET, argv[1], &c.to.sin_addr) != 1 ||
        str_to_u64(argv[2], 1, UINT16_MAX, &port) < 0 || str_to_u64(argv[3], 1, UINT32_MAX, &c.n) < 0 ||
        str_to_u64(argv[4], 1, 60000, &addresses) < 0) {
        (void) fprintf(stderr, "usage: strangers ADDRESS PORT COUNT ADDRESSES\n");
        return 2;
    }
    c.to.sin_port = htons((uint16_t) port);
    (void) signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to who has left */
    if (getrlimit(RLIMIT_NOFILE, &files) >= 0) {
        files.rlim_cur = files.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &files);
    }
    int r = crowd_init(&c, addresses);
    if (r >= 0)
        crowd_run(&c);
    else
        (void) fprintf(stderr, "strangers: %s\n", strerror(-r));
    return r < 0;
}
