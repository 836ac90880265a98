/* SPDX-License-Identifier: MIT */
/* Guards' tablets that cost next to nothing, so that what is measured is the box: each is a thread with one TLS connection that
 * stays open, and asks one thing after the other.
 *   tablet PORT AUTHORITY COOKIE TABLETS EACH STATUS GET PATH
 *   tablet PORT AUTHORITY COOKIE TABLETS EACH STATUS POST PATH BODY
 * Each tablet asks EACH times, and expects STATUS each time. Prints how many answers came each second, from the moment when all
 * connections stood. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/strv.h"

#define HOST "secbox.local"
#define TABLETS_MAX 128
#define EACH_MAX 100000000
#define REQUEST_MAX 4096
#define ANSWER_MAX ((size_t) 64 * 1024)

typedef struct Tablet {
    SSL *ssl;
    pthread_t thread;
    bool failed;
} Tablet;

static char request[REQUEST_MAX], expected[sizeof "HTTP/1.1 200 "];
static int request_len;
static uint64_t each;
static Tablet tablets[TABLETS_MAX];

static SSL *dial(SSL_CTX *ctx, uint16_t port)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(ctx);
    if (!ssl || fd < 0 || connect(fd, (const struct sockaddr *) &to, sizeof to) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) < 0 || SSL_set_fd(ssl, fd) != 1 ||
        SSL_set_tlsext_host_name(ssl, HOST) != 1 || SSL_set1_host(ssl, HOST) != 1 || SSL_connect(ssl) != 1)
        return NULL;
    return ssl;
}

/* What is left to read of an answer of which `len` bytes are here; SIZE_MAX: the head is not whole. */
static size_t answer_rest(const char *answer, size_t len)
{
    static const char field[] = "\r\nContent-Length: ";
    const char *end = strstr(answer, "\r\n\r\n"), *at = strcasestr(answer, field);
    if (!end)
        return SIZE_MAX;
    size_t body = at && at < end ? strtoul(at + strlen(field), NULL, 10) : 0;
    size_t whole = (size_t) (end - answer) + strlen("\r\n\r\n") + body;
    return whole > len ? whole - len : 0;
}

static bool ask(SSL *ssl)
{
    char answer[ANSWER_MAX];
    size_t len = 0;
    if (SSL_write(ssl, request, request_len) != request_len)
        return false;
    do {
        int n = SSL_read(ssl, answer + len, (int) (sizeof answer - 1 - len));
        if (n <= 0)
            return false;
        len += (size_t) n;
        answer[len] = '\0';
    } while (answer_rest(answer, len) > 0);
    if (str_starts(answer, expected))
        return true;
    fprintf(stderr, "%s\n", answer);
    return false;
}

static void *run(void *tablet)
{
    Tablet *t = tablet;
    for (uint64_t i = 0; i < each && !t->failed; i++)
        t->failed = !ask(t->ssl);
    return NULL;
}

static int measure(uint64_t n)
{
    usec_t began = boottime_usec();
    bool failed = false;
    for (uint64_t i = 0; i < n; i++)
        if (pthread_create(&tablets[i].thread, NULL, run, &tablets[i]) != 0)
            return 1;
    for (uint64_t i = 0; i < n; i++) {
        (void) pthread_join(tablets[i].thread, NULL);
        failed |= tablets[i].failed;
    }
    printf("%.1f\n", (double) (n * each) * (double) USEC_PER_SEC / (double) (boottime_usec() - began));
    return failed;
}

static bool make_request(const char *cookie, char **asked, int n)
{
    const char *body = n > 2 ? asked[2] : "";
    request_len = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: " HOST "\r\nCookie: %s\r\n", asked[0],
                           asked[1], cookie);
    if (request_len >= REQUEST_MAX)
        return false;
    size_t room = sizeof request - (size_t) request_len;
    request_len += *body
                       ? snprintf(request + request_len, room,
                                  "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body)
                       : snprintf(request + request_len, room, "\r\n");
    return request_len < REQUEST_MAX;
}

int main(int argc, char **argv)
{
    uint64_t port = 0, n = 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (argc < 9 || argc > 10 || str_to_u64(argv[1], 1, UINT16_MAX, &port) < 0 ||
        str_to_u64(argv[4], 1, TABLETS_MAX, &n) < 0 || str_to_u64(argv[5], 1, EACH_MAX, &each) < 0 ||
        snprintf(expected, sizeof expected, "HTTP/1.1 %s ", argv[6]) >= (int) sizeof expected ||
        !make_request(argv[3], argv + 7, argc - 7)) {
        fprintf(stderr, "usage: tablet PORT AUTHORITY COOKIE TABLETS EACH STATUS METHOD PATH [BODY]\n");
        return 2;
    }
    if (!ctx || SSL_CTX_load_verify_file(ctx, argv[2]) != 1) {
        fprintf(stderr, "tablet: cannot load %s\n", argv[2]);
        return 1;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    for (uint64_t i = 0; i < n; i++)
        if (!(tablets[i].ssl = dial(ctx, (uint16_t) port))) {
            fprintf(stderr, "tablet: cannot connect\n");
            return 1;
        }
    return measure(n);
}
