/* SPDX-License-Identifier: MIT */
/* What the accepting half of the HTTP server and its connections share, and nobody else uses. */
#pragma once

#include "lib/event/coarse-timer.h"
#include "lib/http/proxy-header.h"
#include "lib/http/server.h"
#include "lib/net/stream.h"

typedef struct HttpConn HttpConn;

struct HttpServer {
    sd_event *event;
    sd_event_source *io, *pause, *crowd;
    CoarseClock *clock; /* of the WebSockets that began here */
    HttpConn *conns;    /* newest first */
    Tls *tls;
    Tls *named_tls; /* shown to who asks for one of its names; NULL: there is none */
    ProxyList *proxy_protocol, *forwarded_for;
    size_t (*long_body)(const HttpExchange *x, void *userdata);
    http_handler_t handler;
    void (*on_bad_proxy)(const Error *err, void *userdata);
    void *userdata;
    unsigned n_conns, max_conns;
    unsigned n_handshakes, max_handshakes;
    bool behind_proxy;
    bool starved; /* out of descriptors: no connection is accepted until the pause is over */
    bool crowded; /* there were no places for handshakes, and the look at who stalls is to come */
    /* How long a request, or a TLS handshake's hello, may take to arrive while others have no place. */
    usec_t slow, hello_slow;
    int fd, reserve_fd;
    uint16_t port;
};

/* Takes the socket, also on failure. proxied: a PROXY header comes first. */
int http_conn_start(HttpServer *s, int fd, bool proxied) _must_check_;
/* Ends the oldest connection that has nothing going on; else the oldest whose request does not come. -ENOENT when all are busy. */
int http_conn_evict(HttpServer *s) _must_check_;
/* Ends the TLS handshakes with which nothing is to be done here, and with which the peer lets the others wait. */
void http_conn_end_stalled(HttpServer *s);
void http_conn_free_all(HttpServer *s);
/* A connection's TLS handshake is over, successful or not. */
void http_server_handshake_over(HttpServer *s);
