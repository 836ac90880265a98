/* SPDX-License-Identifier: MIT */
/* A byte stream over TCP on sd-event, plain or TLS 1.2+, with a bounded send queue. An idle stream holds no buffers.
 * Writing over TLS can raise SIGPIPE: programs ignore it (service_loop_new() does). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct Stream Stream;
typedef struct Tls Tls; /* certificates and rules that many streams share */

#define STREAM_QUEUE_DEFAULT ((size_t) 4 * 1024 * 1024)

/* All run from the loop; every one of them may free the stream. */
typedef struct StreamEvents {
    void (*on_open)(Stream *s, void *userdata); /* connected, and TLS verified; may be NULL */
    void (*on_data)(Stream *s, const uint8_t *data, size_t len, void *userdata);
    /* The peer has ended its direction, and ours goes on until stream_finish(). NULL: the peer's end is that of the stream. */
    void (*on_end)(Stream *s, void *userdata);
    void (*on_flushed)(Stream *s, void *userdata); /* the loop sent some of the queue; may be NULL */
    /* Asked for by stream_want_write(): the queue is empty and the socket takes more. May be NULL. */
    void (*on_writable)(Stream *s, void *userdata);
    /* Once, last. r = 0: the peer ended in good order (err is NULL); else negative and err says why:
     * stream.resolve, stream.connect, stream.proxy (it lets nobody through), stream.tls, stream.timeout, stream.unreachable
     * (the way to it is gone), stream.closed. */
    void (*on_closed)(Stream *s, int r, const Error *err, void *userdata);
} StreamEvents;

/* Rules of a client: the peer's certificate must lead to an authority in ca_file (PEM), or to one of the system's when
 * that is NULL, and must name the host. stream.tls-files names a file that cannot be used. */
int tls_new_client(const char *ca_file, Tls **ret, Error *err) _must_check_;
/* For clients: a chain that is not valid by this machine's clock is accepted if it was valid at `seconds` since 1970;
 * everything else is checked as always. 0 = no such moment. Counts for later handshakes. */
void tls_set_time_floor(Tls *t, uint64_t seconds);
/* Rules of a server: PEM chain and key. */
int tls_new_server(const char *cert_file, const char *key_file, Tls **ret, Error *err) _must_check_;
/* Whoever asks for a name of the certificate of `named` (SNI) is shown that one, everybody else the server's own. To be
 * called once; `named` is shared, not taken. */
int tls_set_named(Tls *t, Tls *named) _must_check_;
/* Whether a server's certificate is for this host name: by its alternative names alone, as browsers judge. */
bool tls_is_for(const Tls *t, const char *host);
/* Streams that were made with it are not affected. NULL-safe. */
Tls *tls_free(Tls *t);
DEFINE_CLEANUP(Tls, tls_free)

typedef struct StreamTarget {
    const char *host; /* a name, or a numeric address without brackets */
    uint16_t port;
    Tls *tls; /* NULL = plain */
    /* Numeric addresses at which the host was before; NULL = none. Ends with NULL. Used when the resolver fails, has no
     * answer within 2 s, or none of its addresses can be reached. The certificate must still name `host`. */
    const char *const *known;
    bool known_only; /* do not ask the resolver, if there are any */
    /* An HTTP proxy that is asked to connect with the host (RFC 9110 §9.3.6); NULL = none. Then its name is resolved, and
     * `known` is not used. login: "user:password", or NULL. */
    const char *proxy_host;
    uint16_t proxy_port;
    const char *proxy_login;
} StreamTarget;

/* Starts to resolve and connect; on_open or on_closed follows. Addresses are tried in the resolver's order, 5 s each;
 * resolving, the proxy's answer and the TLS handshake get 10 s each. All of the target is copied, or shared. Errors:
 * stream.resolve when host cannot be a host. */
int stream_connect(sd_event *event, const StreamTarget *target, const StreamEvents *events, void *userdata,
                   Stream **ret, Error *err) _must_check_;

/* Takes a connected socket (also on failure); with tls the handshake has 5 s, then on_open. */
int stream_accept(sd_event *event, int fd, Tls *tls, const StreamEvents *events, void *userdata,
                  Stream **ret) _must_check_;

/* Of a TLS handshake that a server has begun: whether there is nothing to do until the peer sends more. *ret_answered: it has the
 * server's answer to its hello. */
bool stream_handshake_stalls(const Stream *s, bool *ret_answered);

/* `events` must stay where it is. */
void stream_set_events(Stream *s, const StreamEvents *events, void *userdata);
void stream_set_queue_max(Stream *s, size_t max);

/* Sends what the socket takes now and queues the rest. Never calls back. -ENOBUFS: the queue would pass its limit
 * (nothing was sent); -ENOTCONN: not open (any more). */
int stream_send(Stream *s, const void *data, size_t len) _must_check_;
size_t stream_queued(const Stream *s);
/* The same without a copy of what is sent: where to write exactly `len` bytes, then stream_commit() with no other call
 * on the stream in between. Errors as of stream_send(). */
int stream_reserve(Stream *s, size_t len, uint8_t **ret) _must_check_;
int stream_commit(Stream *s, size_t len) _must_check_;

/* While wanted, on_writable is called from the loop whenever it may be. */
void stream_want_write(Stream *s, bool want);
/* The socket takes more only while fewer bytes than this are unsent in it (TCP_NOTSENT_LOWAT), so that something more
 * important that is sent later does not queue up behind them. */
void stream_set_unsent_max(Stream *s, size_t bytes);
/* Bytes that are unsent in the socket now, not counting those in our queue. */
size_t stream_unsent(const Stream *s);
/* Says that much is about to flow, or no longer: keeps buffers, and larger ones, instead of releasing them after each
 * read and write. Costs up to 130 KB while on. */
void stream_set_bulk(Stream *s, bool bulk);

/* While paused nothing is read; a reset is still noticed. */
void stream_pause(Stream *s, bool paused);

/* Sends the queue, ends our direction, discards what still comes in; on_closed follows within 5 s. */
void stream_end(Stream *s);

/* Sends the queue, then ends our direction alone: what still comes in is told as before. on_closed with 0 follows once the peer
 * has ended its direction, too. For users with an on_end. Never calls back. */
void stream_finish(Stream *s);
/* From now on the peer of an open stream may take nothing for as long as it likes, which ends a stream after 30 s otherwise. A
 * peer that is gone is then noticed only when the kernel gives up, after a quarter of an hour. */
void stream_let_stall(Stream *s);

sd_event *stream_event(const Stream *s);
/* "192.0.2.1:443", "[::1]:8443"; "" until connected. Borrowed. */
const char *stream_peer(const Stream *s);
/* Replaces the proxy's own address by the address that the proxy says it speaks for. */
int stream_set_peer(Stream *s, const char *peer) _must_check_;
/* The same form of an address; a new string or NULL. */
char *stream_address_format(const struct sockaddr *addr);

/* Takes the socket of a plain, open stream out of it, from on_open, before anything was sent or read; the stream makes
 * no more calls, and still has to be freed. From then on the peer may stall for as long as it likes. */
int stream_take_socket(Stream *s) _must_check_;

/* Closes at once and calls nothing. NULL-safe; allowed inside every callback. */
Stream *stream_free(Stream *s);
DEFINE_CLEANUP(Stream, stream_free)
