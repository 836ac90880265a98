/* SPDX-License-Identifier: MIT */
/* A connection and its exchange, as only the files of the server see them. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/lifetime.h"
#include "lib/http/parser.h"
#include "lib/http/server-conn.h"

typedef enum HttpPhase {
    HTTP_PROXY, /* a proxy tells for whom it speaks; there is no stream yet */
    HTTP_IDLE,  /* nothing of a request is there */
    HTTP_HEAD,
    HTTP_BODY,
    HTTP_PIECES,    /* the handler has it, and gets the body piece by piece */
    HTTP_ANSWERING, /* the handler has it */
    HTTP_SENDING,   /* the answer waits in the queue */
    HTTP_READING,   /* the answer is read from its source while it is sent */
    HTTP_ENDING,
} HttpPhase;

struct HttpExchange {
    HttpConn *conn;
    HttpHead head;
    HttpBody reader;
    Buf body;
    char *path, *peer;
    const char *query; /* in head.target */
    void (*gone)(HttpExchange *x, void *userdata);
    void *gone_userdata;
    /* of a body that comes in pieces */
    http_body_t on_body; /* NULL: the handler is not there yet */
    void *body_userdata;
    size_t pieces_max, pieces; /* bytes: allowed, come */
    bool paused;
    bool whole;     /* only its end is still to be told */
    bool head_only; /* HEAD: like GET, but the body stays here */
};

struct HttpConn {
    HttpServer *server;
    HttpConn *prev, *next;
    Stream *stream;
    sd_event_source *timer, *proxy;
    HttpExchange *x;
    HttpSource source; /* of the rest of the answer */
    uint64_t to_read;
    usec_t read_until; /* CLOCK_BOOTTIME; 0: no limit */
    usec_t since;      /* CLOCK_BOOTTIME, when the connection began, or its present request */
    int fd;            /* until there is a stream */
    Buf in;
    size_t scanned;
    HttpPhase phase;
    bool keep_alive;
    bool used;     /* has had a request */
    bool goes_on;  /* the timer only begins the next round */
    bool greeting; /* the TLS handshake is under way */
    Lifetime life; /* held while conn_process() runs and will go on by itself */
};
