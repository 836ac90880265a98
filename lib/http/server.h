/* SPDX-License-Identifier: MIT */
/* A small HTTP/1.1 server (RFC 9112) on sd-event, plain or TLS 1.2+, whose connections can be switched to another protocol.
 * Refuses what smuggling needs: Content-Length with Transfer-Encoding, repeated Content-Length, obs-fold, bare LF,
 * bad chunk extensions, white space before the colon. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/event/coarse-timer.h"
#include "lib/http/parser.h"
#include "lib/net/stream.h"

typedef struct HttpServer HttpServer;
typedef struct HttpExchange HttpExchange; /* one request and its answer */

/* Called for each whole request (or head, see head_first and long_body). Answer now or later with http_respond()/http_switch();
 * until then the exchange lives. */
typedef void (*http_handler_t)(HttpExchange *x, void *userdata);

typedef struct HttpServerOptions {
    const char *address;   /* numeric, "127.0.0.1", "::" */
    uint16_t port;         /* 0: chosen by the kernel, see http_server_port() */
    const char *cert_file; /* PEM chain; NULL = plain HTTP */
    const char *key_file;
    unsigned max_connections; /* HTTP ones; what was switched to another protocol no longer counts. 0 = 1024 */
    /* Of these, how many of peers who have not shown who they are (http_note_known()), half of it from one address. 0 = they are
     * not told apart. */
    unsigned max_strangers;
    /* TLS handshakes under way at one time, and as many again from addresses that are known. The rest wait, and their addresses
     * take turns. 0 = HTTP_HANDSHAKES_MAX */
    unsigned max_handshakes;
    /* The handler is called with the head of each request, before anything of its body is kept: see http_body_is_coming(). */
    bool head_first;
    /* The proxies that are believed when they say who called: addresses and networks as in proxy_list_new(), NULL =
     * none. */
    const char *proxy_protocol; /* each connection of theirs begins with a PROXY header, before TLS */
    const char *forwarded_for;  /* X-Forwarded-For of their requests */
    /* A connection from such a proxy had no PROXY header, or a broken one, and was closed; may be NULL. */
    void (*on_bad_proxy)(const Error *err, void *userdata);
    /* How long the body of a request may be whose handler takes it piece by piece; 0: it is one like the others, of at most
     * HTTP_BODY_MAX. Asked where that would be too short or a length is not told; may be NULL. */
    size_t (*long_body)(const HttpExchange *x, void *userdata);
    http_handler_t handler;
    void *userdata;
} HttpServerOptions;

int http_server_new(sd_event *event, const HttpServerOptions *options, HttpServer **ret, Error *err) _must_check_;
uint16_t http_server_port(const HttpServer *s);
/* Reads certificate and key again, for new connections. When they cannot be used, the old ones stay. */
int http_server_renew(HttpServer *s, const char *cert_file, const char *key_file, Error *err) _must_check_;
/* The same with a second certificate for those who ask for one of its names (SNI); NULL: no second one. */
int http_server_renew_both(HttpServer *s, const char *cert_file, const char *key_file, const char *named_cert_file,
                           const char *named_key_file, Error *err) _must_check_;
/* Whether there is a second certificate, and it is for this host name. */
bool http_server_is_named(const HttpServer *s, const char *host);
/* A request has come through a proxy that says so, trusted or not. */
bool http_server_behind_proxy(const HttpServer *s);
HttpServer *http_server_free(HttpServer *s);
DEFINE_CLEANUP(HttpServer, http_server_free)

/* Borrowed from the exchange. */
const char *http_method(const HttpExchange *x);
const char *http_path(const HttpExchange *x);                     /* percent-decoded, without the query */
const char *http_header(const HttpExchange *x, const char *name); /* NULL when absent */
const char *http_body(const HttpExchange *x, size_t *ret_len);    /* NUL-terminated, "" when empty */
/* Who asks: "192.0.2.1:443", or without a port when it is from a proxy's X-Forwarded-For. */
const char *http_peer(const HttpExchange *x);
/* Decoded query parameter: a new string, or NULL when absent. */
char *http_query(const HttpExchange *x, const char *name);

/* Whether the handler was called before the body is there. It has to call http_body_receive() or http_body_collect(), now or later,
 * or to answer; an answer also ends the connection unless the rest of the body has come with the head. */
bool http_body_is_coming(const HttpExchange *x);
/* Whether long_body said that it may be long: it is to be received. */
bool http_body_is_long(const HttpExchange *x);
/* Waits for all of a body of at most `max` bytes, which http_body() then has. True: it is here already. False: on_whole is called
 * later, or the server refuses the body, maybe from inside this call, which http_on_gone() tells: it is longer (413
 * http.too-large), comes at less than 1 KiB a second (408 http.timeout) or finds too many others under way (503 http.busy). */
typedef void (*http_whole_t)(HttpExchange *x, void *userdata);
bool http_body_collect(HttpExchange *x, size_t max, http_whole_t on_whole, void *userdata) _must_check_;
/* From now on on_body is called with each piece, never from inside this call, and once with a len of 0 when that was all. What is
 * wrong with the body is answered by the server, and told by http_on_gone(). */
typedef void (*http_body_t)(HttpExchange *x, const char *data, size_t len, void *userdata);
void http_body_receive(HttpExchange *x, http_body_t on_body, void *userdata);
/* Nothing is read from the peer, and on_body is not called, while it is paused. */
void http_body_pause(HttpExchange *x, bool paused);

/* Its peer has shown who he is: strangers no longer count this connection as one of theirs, and his address greets before
 * theirs. */
void http_note_known(HttpExchange *x);

/* Told once if the peer goes away before the answer; the exchange is freed after it. */
void http_on_gone(HttpExchange *x, void (*gone)(HttpExchange *x, void *userdata), void *userdata);

/* Answers and ends the exchange (x is not to be used any more). body may be NULL; extra headers "Name: value" end with
 * NULL or are NULL. Keep-alive is handled. */
void http_respond(HttpExchange *x, int status, const char *content_type, const char *body, size_t len,
                  const char *const *headers);

/* Whether it is a HEAD request: http_method() says GET of one, since the answer is the same but for its body, which the functions
 * here leave out by themselves. */
bool http_is_head(const HttpExchange *x);
/* Answers one by what the body would be that nobody makes: its length, or UINT64_MAX, which is sent in chunks. */
void http_respond_head(HttpExchange *x, int status, const char *content_type, uint64_t len, const char *const *headers);

/* Where the body of a long answer comes from. */
typedef struct HttpSource {
    /* Writes exactly `len` bytes, the next ones; on a negative result the connection ends. */
    int (*read)(void *userdata, uint8_t *to, size_t len);
    void (*close)(void *userdata); /* once: all was read, or nobody wants it */
    void *userdata;
    usec_t
        max_usec; /* the connection ends where the peer takes longer for all of it; 0: as long as it takes something */
} HttpSource;

/* The same with a body that is read while the peer takes it, 64 KB at a time. `source` is copied. */
void http_respond_from(HttpExchange *x, int status, const char *content_type, uint64_t len, const HttpSource *source,
                       const char *const *headers);

/* For protocols that a connection can be switched to (101). The request's head, borrowed; the connection's stream and the
 * clock that watches all of the server's connections, NULL when it cannot be switched because more than the request has
 * arrived. */
const HttpHead *http_head(const HttpExchange *x);
Stream *http_switchable(const HttpExchange *x, CoarseClock **ret_clock);
/* Sends the whole 101 response and ends the exchange; the stream belongs to the caller from now on. */
void http_switch(HttpExchange *x, const char *answer, size_t len);
