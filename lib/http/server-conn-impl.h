/* SPDX-License-Identifier: MIT */
/* A connection and its exchange, as only the files of the server see them. */
#pragma once

#include "lib/http/callers.h"

#include "lib/base/buf.h"
#include "lib/base/lifetime.h"
#include "lib/http/parser.h"
#include "lib/http/server-conn.h"

/* What a client may send ahead of its answer before we stop reading. */
#define PIPELINE_MAX ((size_t) 64 * 1024)

typedef enum HttpPhase {
    HTTP_PROXY,  /* a proxy tells for whom it speaks; there is no stream yet */
    HTTP_QUEUED, /* waits for its turn to greet; no stream either */
    HTTP_IDLE,   /* nothing of a request is there */
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
    http_whole_t on_whole;     /* of a body that is collected; NULL: it is handed out */
    size_t reserved;           /* bytes of the bodies that may arrive at one time */
    size_t *from_all;          /* the count that these are in; NULL: in none */
    HttpCaller *from_caller;   /* held: in its count, too; NULL: in no caller's */
    size_t seen;               /* bytes of it that were there when its rate was looked at */
    size_t moved;              /* the same when its connection was found to move */
    bool is_watched;           /* its rate is looked at */
    bool paused;
    bool is_long;   /* its handler takes pieces */
    bool whole;     /* only its end is still to be told */
    bool head_only; /* HEAD: like GET, but the body stays here */
};

/* The lines that a connection can stand in at the same time. */
typedef enum HttpLine {
    LINE_SERVER,   /* of those that may be ended for others */
    LINE_CALLER,   /* the same of its caller */
    LINE_GREETING, /* TLS handshakes under way, or its caller's that wait for one */
    _LINE_COUNT,
} HttpLine;

typedef struct HttpPlace {
    HttpQueue *in; /* NULL: in none */
    HttpConn *older, *newer;
} HttpPlace;

struct HttpConn {
    HttpServer *server;
    HttpCaller *caller;
    HttpPlace places[_LINE_COUNT];
    char *peer; /* as a proxy tells it, until there is a stream */
    HttpConn *prev, *next;
    Stream *stream;
    sd_event_source *timer, *proxy;
    HttpExchange *x;
    HttpSource source; /* of the rest of the answer */
    uint64_t to_read;
    usec_t read_until; /* CLOCK_BOOTTIME; 0: no limit */
    usec_t since;      /* CLOCK_BOOTTIME, when the connection began, or its present request, or this moved last */
    int fd;            /* until there is a stream */
    Buf in;
    size_t scanned;
    HttpPhase phase;
    bool keep_alive;
    bool used;     /* has had a request */
    bool known;    /* its peer has shown who he is */
    bool goes_on;  /* the timer only begins the next round */
    bool greeting; /* the TLS handshake is under way */
    bool as_known; /* in a place for known addresses */
    Lifetime life; /* held while conn_process() runs and will go on by itself */
};

/* server-conn.c, for server-body.c and server-places.c */
void http_conn_free(HttpConn *c);
void http_conn_deadline(HttpConn *c, usec_t delay);
/* Answers a request that the server itself refuses, ends the connection after it, and tells a handler that has the request. */
void http_conn_refuse(HttpConn *c, int status, const char *id, const char *message);
void http_conn_say_continue(HttpConn *c);
/* Makes the stream. On failure the connection is still there. */
int http_conn_open(HttpConn *c) _must_check_;

/* server-body.c: one round of a body whose handler has only the head. Whether to go on. */
bool http_body_begin(HttpConn *c);
bool http_body_round(HttpConn *c);
/* The time between two looks is over. */
void http_body_look(HttpConn *c);
/* Some of a body has come: while that is at 1 KiB a second, its place is nobody else's. */
void http_body_moves(HttpExchange *x);
/* Its handler has answered. Whether the rest of it is here, and gone now. */
bool http_body_drop(HttpExchange *x);
/* What was reserved for it may be another's. */
void http_body_release(HttpExchange *x);

/* server-places.c */
void http_queue_leave(HttpConn *c, HttpLine line);
/* Its phase is another: whether it may be ended for others is seen anew. */
void http_conn_settle(HttpConn *c);
/* It goes on as it should, and stands behind the others again. */
void http_conn_moves(HttpConn *c);
/* Begins its stream, at once or when it is its turn. On failure it is gone. */
int http_conn_greet(HttpConn *c);
