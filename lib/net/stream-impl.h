/* SPDX-License-Identifier: MIT */
/* What the files of the stream share, and nobody else uses. */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/lifetime.h"
#include "lib/event/process.h"
#include "lib/event/daemon.h"
#include "lib/net/stream.h"

#define STREAM_ADDRESSES_MAX 8
#define STREAM_READ_SIZE 16384
/* What is read of TLS at once in bulk; and a send buffer that is kept then. */
#define STREAM_BULK_SIZE ((size_t) 65536)

#define STREAM_RESOLVE_TIMEOUT (10 * USEC_PER_SEC)
/* How long to wait for the resolver when addresses are known. */
#define STREAM_RESOLVE_HEAD_START (2 * USEC_PER_SEC)
#define STREAM_CONNECT_TIMEOUT (5 * USEC_PER_SEC)
#define STREAM_PROXY_TIMEOUT (10 * USEC_PER_SEC)
#define STREAM_TLS_CLIENT_TIMEOUT (10 * USEC_PER_SEC)
#define STREAM_TLS_SERVER_TIMEOUT (5 * USEC_PER_SEC)
#define STREAM_END_TIMEOUT (5 * USEC_PER_SEC)

typedef enum StreamState {
    STREAM_DIALING,   /* resolving or connecting */
    STREAM_PROXY,     /* the proxy is asked to connect further */
    STREAM_HANDSHAKE, /* TLS */
    STREAM_OPEN,
    STREAM_ENDING, /* the queue is being sent, then our direction ends */
    STREAM_ENDED,  /* waits for the peer's end */
    STREAM_CLOSED,
} StreamState;

typedef struct StreamAddress {
    struct sockaddr_storage addr;
    socklen_t len;
    bool tried;
} StreamAddress;

typedef struct StreamDial StreamDial;
typedef struct ssl_st StreamTls; /* OpenSSL's SSL */

struct Stream {
    sd_event *event;
    sd_event_source *io, *timer, *wake;
    const StreamEvents *events;
    void *userdata;
    StreamTls *tls;
    StreamDial *dial; /* until it is open */
    char *name;       /* host:port as the user wrote it, or the peer; for sentences */
    char *peer;
    Buf out;
    size_t out_start; /* bytes of `out` that are sent already */
    size_t out_max;
    Error err;
    int failed; /* a failure that the loop still has to report */
    int fd;
    StreamState state;
    Lifetime life;
    bool paused;
    bool server;
    bool read_wants_write;
    bool want_write;
    bool bulk;
    bool finishing;  /* our direction ends once the queue is empty; */
    bool finished;   /* it has ended */
    bool peer_ended; /* the peer's direction has ended, and ours goes on */
};

/* stream.c */
Stream *stream_new(sd_event *event, const StreamEvents *events, void *userdata);
int stream_set_socket(Stream *s, int fd); /* takes fd */
int stream_socket_connected(Stream *s);   /* goes on to TLS, or is open: then say stream_opened() */
void stream_opened(Stream *s);            /* from the loop only */
void stream_fail(Stream *s, int r);       /* from the loop only: reports s->err and ends */
int stream_broke(Stream *s, int code);    /* sets s->err; returns -code */
int stream_wake(Stream *s);
void stream_watch(Stream *s);
void stream_release(Stream *s); /* undoes a lifetime_hold() */

/* stream-connect.c */
extern const char *stream_resolver; /* "/usr/bin/getent"; tests have one of their own */
StreamDial *stream_dial_free(StreamDial *d);
void stream_dial_ready(Stream *s); /* the loop says that something can go on */
/* The handshake failed with r, and s->err says why: goes on with the next address; false when there is none. */
bool stream_dial_again(Stream *s, int r);

/* stream-proxy.c: what is said to an HTTP proxy. */
typedef struct ProxyCall ProxyCall;
/* `place` is HOST:PORT, and `proxy` for sentences. NULL when out of memory. */
ProxyCall *proxy_call_new(const char *place, const char *proxy, const char *login);
ProxyCall *proxy_call_free(ProxyCall *t);
/* From the beginning, with another connection. */
void proxy_call_restart(ProxyCall *t);
/* 0: it has connected; -EAGAIN: wait for the socket (*ret_wants_write); else *err says why not. */
int proxy_call_round(ProxyCall *t, int fd, bool *ret_wants_write, Error *err) _must_check_;

/* stream-tls.c: results as read(2) with -EAGAIN for "wait for the socket"; errors are set on s->err. */
int stream_tls_start(Stream *s, Tls *tls, const char *host); /* host NULL = server */
int stream_tls_restart(Stream *s, const char *host);         /* as if nothing had been exchanged yet */
int stream_tls_attach(Stream *s);
int stream_tls_handshake(Stream *s, bool *ret_wants_write);
ssize_t stream_tls_read(Stream *s, void *data, size_t len);
ssize_t stream_tls_write(Stream *s, const void *data, size_t len);
/* Whether one read of the socket may bring several records, which stream_tls_pending() then tells about. */
bool stream_tls_reads_ahead(const Stream *s);
bool stream_tls_pending(const Stream *s);
void stream_tls_set_bulk(Stream *s, bool bulk);
void stream_tls_shutdown(Stream *s);
void stream_tls_free(Stream *s);
