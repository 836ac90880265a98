/* SPDX-License-Identifier: MIT */
/* The protocol of rathole 0.5, version 1, as its client sees it: messages of fixed length, numbers little-endian. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/data/digest.h"

#define RATHOLE_HELLO_SIZE 37
#define RATHOLE_KEY_SIZE SHA256_SIZE
#define RATHOLE_WORD_SIZE 4

/* The first message of the control connection. */
int rathole_control_hello(const char *service, uint8_t ret[static RATHOLE_HELLO_SIZE]) _must_check_;
/* The answer to the server's nonce, which is also the key that data connections begin with. */
int rathole_session_key(const char *token, const uint8_t nonce[static RATHOLE_KEY_SIZE],
                        uint8_t ret[static RATHOLE_KEY_SIZE]) _must_check_;
/* The first message of a data connection. */
void rathole_data_hello(const uint8_t key[static RATHOLE_KEY_SIZE], uint8_t ret[static RATHOLE_HELLO_SIZE]);

typedef enum RatholeWord {
    RATHOLE_MORE,      /* not whole yet */
    RATHOLE_NONCE,     /* the server's hello: ->held ends with it */
    RATHOLE_ACCEPTED,  /* the control connection is up */
    RATHOLE_UNKNOWN,   /* no service has that name */
    RATHOLE_BAD_TOKEN, /* it has another token */
    RATHOLE_CREATE,    /* one more data connection is wanted */
    RATHOLE_HEARTBEAT,
    RATHOLE_START,   /* a visitor has come to this data connection */
    RATHOLE_GARBAGE, /* what no server of this version says here */
} RatholeWord;

typedef enum RatholeTurn {
    RATHOLE_TURN_HELLO, /* start from `= {}` */
    RATHOLE_TURN_ACK,
    RATHOLE_TURN_COMMANDS,
    RATHOLE_TURN_DATA, /* of a data connection, start from { .turn = RATHOLE_TURN_DATA } */
} RatholeTurn;

typedef struct RatholeReader {
    RatholeTurn turn;
    size_t n;
    uint8_t held[RATHOLE_HELLO_SIZE];
} RatholeReader;

/* Takes bytes until a message is whole, and moves *data and *len past them. What follows RATHOLE_START is the visitor's. */
RatholeWord rathole_read(RatholeReader *r, const uint8_t **data, size_t *len);
/* After RATHOLE_NONCE. Borrowed. */
const uint8_t *rathole_nonce(const RatholeReader *r);
