/* SPDX-License-Identifier: MIT */
/* The accepting half of the HTTP server: listening, and staying up when descriptors or places run out. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/user-name.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/server-conn.h"

#define ACCEPT_PAUSE (1 * USEC_PER_SEC)
#define ACCEPTS_PER_ROUND 64
#define CONNECTIONS_DEFAULT 1024
/* The kernel's own limit (net.core.somaxconn) is what counts. */
#define BACKLOG 65535
#define SILENCE_SECONDS 5
#define SLOW_REQUEST (5 * USEC_PER_SEC)
#define SLOW_HELLO (500 * USEC_PER_MSEC)
#define SLOW_TAKING (30 * USEC_PER_SEC)
#define BODY_LOOK (20 * USEC_PER_SEC)

/* A socket that nobody accepts from is not watched either: it would wake the loop again and again. */
static int listener_watch(HttpServer *s)
{
    return s->io ? sd_event_source_set_enabled(s->io, s->starved ? SD_EVENT_OFF : SD_EVENT_ON) : 0;
}

static int on_pause_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    HttpServer *s = userdata;
    s->starved = false;
    return listener_watch(s);
}

static void accept_pause(HttpServer *s)
{
    s->starved = timer_arm(s->event, &s->pause, ACCEPT_PAUSE, on_pause_over, s) >= 0;
}

static int reserve_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Out of descriptors: whoever holds one for nothing gives it up. Where nobody does, give the spare one up to take the waiting
 * connection and close it, so that its client knows and the listener does not stay readable for ever. */
static void accept_starved(HttpServer *s)
{
    if (http_conn_evict(s) >= 0)
        return;
    if (s->reserve_fd >= 0) {
        close(TAKE_FD(s->reserve_fd));
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        s->reserve_fd = reserve_open();
    }
    accept_pause(s);
}

/* 0: go on; negative: enough for this round. */
static int accept_one(HttpServer *s)
{
    struct sockaddr_storage peer = {};
    socklen_t len = sizeof peer;
    int fd = accept4(s->fd, (struct sockaddr *) &peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            accept_starved(s);
        return errno == ECONNABORTED || errno == EINTR ? 0 : -EAGAIN;
    }
    if (s->n_conns >= s->max_conns && http_conn_evict(s) < 0) {
        close(fd);
        return 0;
    }
    bool proxied = proxy_list_has(s->proxy_protocol, (struct sockaddr *) &peer);
    return http_conn_start(s, fd, (struct sockaddr *) &peer, proxied) == -ENOMEM ? -ENOMEM : 0;
}

static int on_listen(sd_event_source *source _unused_, int fd _unused_, uint32_t revents _unused_, void *userdata)
{
    HttpServer *s = userdata;
    for (int i = 0; i < ACCEPTS_PER_ROUND; i++)
        if (accept_one(s) < 0)
            break;
    return listener_watch(s);
}

static int listen_on(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    struct sockaddr_storage addr = {};
    socklen_t len = sizeof addr;
    int yes = 1;
    if (getaddrinfo(address, NULL, &hints, &found) != 0 || !found)
        return -EINVAL;
    len = found->ai_addrlen;
    memcpy(&addr, found->ai_addr, len);
    freeaddrinfo(found);
    in_port_t *at = addr.ss_family == AF_INET ? &((struct sockaddr_in *) &addr)->sin_port
                                              : &((struct sockaddr_in6 *) &addr)->sin6_port;
    *at = htons(port);
    _cleanup_(closep) int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(fd, (struct sockaddr *) &addr, len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *) &addr, &len) < 0)
        return -errno;
    *ret_port = ntohs(*at);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int listen_failed(const HttpServerOptions *o, int r, Error *err)
{
    char user[USER_NAME_SIZE];
    if (r == -EACCES)
        return error_set(
            err, EACCES, "http.listen",
            "cannot listen on %s port %u: %s for the user %s: ports below 1024 need CAP_NET_BIND_SERVICE, and in a "
            "unit also PrivateUsers=no",
            o->address, o->port, strerror(EACCES), user_name_own(user));
    return error_set(
        err, -r, "http.listen", "cannot listen on %s port %u: %s; check that %s", o->address, o->port, strerror(-r),
        r == -EADDRINUSE ? "no other program listens there" : "the address is this machine's and the port free");
}

int http_server_renew_both(HttpServer *s, const char *cert_file, const char *key_file, const char *named_cert_file,
                           const char *named_key_file, Error *err)
{
    _cleanup_(tls_freep) Tls *renewed = NULL, *named = NULL;
    int r = tls_new_server(cert_file, key_file, &renewed, err);
    if (r >= 0 && named_cert_file)
        r = tls_new_server(named_cert_file, named_key_file, &named, err);
    if (r >= 0 && named)
        r = tls_set_named(renewed, named);
    if (r < 0)
        return error_from_errno(err, r, "cannot use another certificate");
    tls_free(s->tls);
    tls_free(s->named_tls);
    s->tls = TAKE_PTR(renewed);
    s->named_tls = TAKE_PTR(named);
    return 0;
}

int http_server_renew(HttpServer *s, const char *cert_file, const char *key_file, Error *err)
{
    return http_server_renew_both(s, cert_file, key_file, NULL, NULL, err);
}

bool http_server_is_named(const HttpServer *s, const char *host)
{
    return s->named_tls && tls_is_for(s->named_tls, host);
}

bool http_server_behind_proxy(const HttpServer *s)
{
    return s->behind_proxy;
}

int http_server_new(sd_event *event, const HttpServerOptions *options, HttpServer **ret, Error *err)
{
    _cleanup_(http_server_freep) HttpServer *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->event = sd_event_ref(event);
    s->fd = s->reserve_fd = -1;
    s->handler = options->handler;
    s->long_body = options->long_body;
    s->on_bad_proxy = options->on_bad_proxy;
    s->userdata = options->userdata;
    s->max_conns = options->max_connections ? options->max_connections : CONNECTIONS_DEFAULT;
    s->max_strangers = options->max_strangers;
    s->max_handshakes = options->max_handshakes ? options->max_handshakes : HTTP_HANDSHAKES_MAX;
    s->head_first = options->head_first;
    s->callers = http_callers_new();
    if (!s->callers)
        return -ENOMEM;
    s->slow = SLOW_REQUEST;
    s->hello_slow = SLOW_HELLO;
    s->taking_slow = SLOW_TAKING;
    s->body_look = BODY_LOOK;
    int r = coarse_clock_new(event, &s->clock);
    if (r >= 0)
        r = proxy_list_new(options->proxy_protocol, &s->proxy_protocol, err);
    if (r >= 0)
        r = proxy_list_new(options->forwarded_for, &s->forwarded_for, err);
    if (r >= 0 && options->cert_file)
        r = tls_new_server(options->cert_file, options->key_file, &s->tls, err);
    if (r < 0)
        return r;
    r = listen_on(options->address, options->port, &s->fd, &s->port);
    if (r < 0)
        return listen_failed(options, r, err);
    s->reserve_fd = reserve_open();
    if (s->tls) {
        /* in TLS the client speaks first: one that says nothing stays in the kernel and takes no place from others */
        int seconds = SILENCE_SECONDS;
        (void) setsockopt(s->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
    }
    r = sd_event_add_io(event, &s->io, s->fd, EPOLLIN, on_listen, s);
    if (r < 0)
        return error_from_errno(err, r, "cannot watch the listening socket");
    *ret = TAKE_PTR(s);
    return 0;
}

uint16_t http_server_port(const HttpServer *s)
{
    return s->port;
}

HttpServer *http_server_free(HttpServer *s)
{
    if (!s)
        return NULL;
    s->io = sd_event_source_disable_unref(s->io);
    s->pause = sd_event_source_disable_unref(s->pause);
    s->ending = true;
    http_conn_free_all(s);
    http_callers_free(s->callers);
    s->crowd = sd_event_source_disable_unref(s->crowd);
    coarse_clock_unref(s->clock);
    tls_free(s->tls);
    tls_free(s->named_tls);
    proxy_list_free(s->proxy_protocol);
    proxy_list_free(s->forwarded_for);
    if (s->fd >= 0)
        close(s->fd);
    if (s->reserve_fd >= 0)
        close(s->reserve_fd);
    sd_event_unref(s->event);
    free(s);
    return NULL;
}
