/* SPDX-License-Identifier: MIT */
/* A first-in first-out queue of messages, bounded in number and bytes. */
#pragma once

#include <stddef.h>

#include "lib/base/mem.h"

typedef struct SendQueueItem SendQueueItem;

/* Start from SEND_QUEUE_INIT. */
typedef struct SendQueue {
    SendQueueItem *first, **end; /* end is NULL when empty */
    size_t n, bytes;
    size_t n_max, bytes_max;
} SendQueue;

#define SEND_QUEUE_INIT(messages, size) ((SendQueue) { .n_max = (messages), .bytes_max = (size) })

/* Copies. -ENOBUFS when it would pass a limit. */
int send_queue_push(SendQueue *q, const char *text, size_t len) _must_check_;
/* The oldest, NULL when empty; borrowed until send_queue_pop(). */
const char *send_queue_peek(const SendQueue *q, size_t *ret_len);
void send_queue_pop(SendQueue *q);
void send_queue_clear(SendQueue *q);
