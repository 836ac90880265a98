/* SPDX-License-Identifier: MIT */
/* What the accepting half of the HTTP server and its connections share, and nobody else uses. */
#pragma once

#include "lib/event/coarse-timer.h"
#include "lib/http/callers.h"
#include "lib/http/proxy-header.h"
#include "lib/http/server.h"
#include "lib/net/stream.h"

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
    unsigned n_known, max_strangers; /* connections whose peers have shown who they are; of the others, so many */
    unsigned n_handshakes[2], max_handshakes; /* under way from strangers, and from the known; of each so many */
    unsigned n_waiting;                       /* for a place to greet */
    HttpCallers *callers;
    HttpTurns turns[2]; /* of those whose connections wait: strangers, the known; each for one of them */
    HttpQueue pending, idle, idle_known; /* whose request has not come, who has had one, the same of the known */
    HttpQueue taking;                    /* strangers who take their answers */
    HttpQueue greetings;
    size_t stranger_bytes, known_bytes; /* of bodies that are arriving */
    bool head_first;
    bool ending; /* nobody's turn comes any more */
    bool behind_proxy;
    bool starved; /* out of descriptors: no connection is accepted until the pause is over */
    bool crowded; /* somebody waits for a place to greet, and the look at who stalls is to come */
    /* While others have no place: how long a request may not move, a TLS handshake's hello, and the taking of an answer. */
    usec_t slow, hello_slow, taking_slow;
    usec_t body_look; /* from one look at a stranger's body to the next */
    int fd, reserve_fd;
    uint16_t port;
};

/* Takes the socket, also on failure. proxied: a PROXY header comes first. */
int http_conn_start(HttpServer *s, int fd, const struct sockaddr *peer, bool proxied) _must_check_;
/* Ends, for somebody who comes, the oldest connection that has nothing going on; else the oldest whose request does not come, or
 * whose answer is not taken; else one of somebody known that has nothing going on. -ENOENT when all are busy. Takes the same time
 * however many there are. */
int http_conn_evict(HttpServer *s) _must_check_;
/* Makes room for one more connection from there: among its own, and among those of strangers unless it is known. -ENOENT: there is
 * none. */
int http_conn_make_room(HttpServer *s, const HttpCaller *caller) _must_check_;
void http_conn_free_all(HttpServer *s);
/* A TLS handshake is over, successful or not, that had a place for strangers or for the known: the next one has its turn. */
void http_server_handshake_over(HttpServer *s, bool known);
