/* SPDX-License-Identifier: MIT */
#include "relay-client/rathole/rathole-frame.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

#define VERSION 1
#define KEY_AT (RATHOLE_HELLO_SIZE - RATHOLE_KEY_SIZE)

enum { HELLO_CONTROL = 0, HELLO_DATA = 1 };
enum { ACK_OK = 0, ACK_NO_SERVICE = 1, ACK_BAD_TOKEN = 2 };
enum { COMMAND_CREATE = 0, COMMAND_HEARTBEAT = 1 };
enum { DATA_START_TCP = 0 };

static void put_head(uint8_t kind, uint8_t *to)
{
    const uint8_t head[KEY_AT] = { kind, 0, 0, 0, VERSION };

    memcpy(to, head, sizeof(head));
}

int rathole_control_hello(const char *service, uint8_t ret[static RATHOLE_HELLO_SIZE])
{
    put_head(HELLO_CONTROL, ret);
    return sha256(service, strlen(service), ret + KEY_AT);
}

int rathole_session_key(const char *token, const uint8_t nonce[static RATHOLE_KEY_SIZE],
                        uint8_t ret[static RATHOLE_KEY_SIZE])
{
    size_t len = strlen(token);
    char *text = malloc(len + RATHOLE_KEY_SIZE);

    if (!text)
        return -ENOMEM;
    memcpy(text, token, len);
    memcpy(text + len, nonce, RATHOLE_KEY_SIZE);
    int r = sha256(text, len + RATHOLE_KEY_SIZE, ret);
    explicit_bzero(text, len);
    free(text);
    return r;
}

void rathole_data_hello(const uint8_t key[static RATHOLE_KEY_SIZE], uint8_t ret[static RATHOLE_HELLO_SIZE])
{
    put_head(HELLO_DATA, ret);
    memcpy(ret + KEY_AT, key, RATHOLE_KEY_SIZE);
}

static uint32_t word(const RatholeReader *r)
{
    return (uint32_t) r->held[0] | (uint32_t) r->held[1] << 8 | (uint32_t) r->held[2] << 16 |
           (uint32_t) r->held[3] << 24;
}

static RatholeWord judge_ack(RatholeReader *r)
{
    switch (word(r)) {
    case ACK_OK:
        r->turn = RATHOLE_TURN_COMMANDS;
        return RATHOLE_ACCEPTED;
    case ACK_NO_SERVICE:
        return RATHOLE_UNKNOWN;
    case ACK_BAD_TOKEN:
        return RATHOLE_BAD_TOKEN;
    default:
        return RATHOLE_GARBAGE;
    }
}

static RatholeWord judge(RatholeReader *r)
{
    switch (r->turn) {
    case RATHOLE_TURN_HELLO:
        r->turn = RATHOLE_TURN_ACK;
        return word(r) == HELLO_CONTROL && r->held[KEY_AT - 1] == VERSION ? RATHOLE_NONCE : RATHOLE_GARBAGE;
    case RATHOLE_TURN_ACK:
        return judge_ack(r);
    case RATHOLE_TURN_COMMANDS:
        return word(r) == COMMAND_CREATE      ? RATHOLE_CREATE
               : word(r) == COMMAND_HEARTBEAT ? RATHOLE_HEARTBEAT
                                              : RATHOLE_GARBAGE;
    default:
        return word(r) == DATA_START_TCP ? RATHOLE_START : RATHOLE_GARBAGE;
    }
}

RatholeWord rathole_read(RatholeReader *r, const uint8_t **data, size_t *len)
{
    size_t size = r->turn == RATHOLE_TURN_HELLO ? RATHOLE_HELLO_SIZE : RATHOLE_WORD_SIZE;
    size_t n = size - r->n < *len ? size - r->n : *len;

    memcpy(r->held + r->n, *data, n);
    r->n += n;
    *data += n;
    *len -= n;
    if (r->n < size)
        return RATHOLE_MORE;
    r->n = 0;
    return judge(r);
}

const uint8_t *rathole_nonce(const RatholeReader *r)
{
    return r->held + KEY_AT;
}
