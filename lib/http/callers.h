/* SPDX-License-Identifier: MIT */
/* The addresses that a server's connections are from (caller_network(): one IPv4 address, or one IPv6 /64), what each of them
 * holds, and which of them have been somebody we know. Private to the server. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/mem.h"

/* Known addresses that are remembered while nothing is connected from them, 300 bytes each. */
#define HTTP_CALLERS_KNOWN_MAX 16384
#define HTTP_CALLER_KEY_SIZE 33

typedef struct HttpConn HttpConn;

/* Connections in a line, from the oldest to the newest. */
typedef struct HttpQueue {
    HttpConn *oldest, *newest;
    unsigned n;
} HttpQueue;

typedef struct HttpCaller {
    char key[HTTP_CALLER_KEY_SIZE];
    unsigned n_conns;
    size_t body_bytes;                  /* of strangers' requests that are arriving */
    HttpQueue strangers;                /* connections that may be ended for others */
    HttpQueue taking;                   /* the same of those that take their answers */
    HttpQueue waiting;                  /* for a place to greet */
    struct HttpTurns *turns;            /* among which it waits; NULL: it does not */
    struct HttpCaller *before, *behind; /* of those */
    bool known;                         /* somebody from there has shown who he is */
    struct HttpCaller *older, *newer;   /* among the known */
} HttpCaller;

/* Callers whose connections wait, in turn. */
typedef struct HttpTurns {
    HttpCaller *first, *last;
} HttpTurns;

typedef struct HttpCallers HttpCallers;

/* NULL when out of memory. */
HttpCallers *http_callers_new(void);
/* Nobody holds one any more. */
HttpCallers *http_callers_free(HttpCallers *cs);
DEFINE_CLEANUP(HttpCallers, http_callers_free)

/* The caller of an address, "192.0.2.1:443", held once more. NULL when out of memory. */
HttpCaller *http_caller_hold(HttpCallers *cs, const char *address);
/* It is forgotten with its last hold, unless it is known. NULL-safe. */
void http_caller_release(HttpCallers *cs, HttpCaller *c);
/* Remembers it as known; of too many the one that was noted longest ago is known no more. */
void http_caller_note_known(HttpCallers *cs, HttpCaller *c);
size_t http_callers_count(const HttpCallers *cs);
