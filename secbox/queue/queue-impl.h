/* SPDX-License-Identifier: MIT */
/* What the files of the queue share: queue.c writes, queue-drain.c sends. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/event/backoff.h"
#include "secbox/queue/queue.h"
#include "secbox/queue/queue-rules.h"

typedef struct QueueWriter QueueWriter;
struct QueueWriter {
    queue_written_t on_written;
    void *userdata;
    QueueWriter *next;
};

/* Events that are committed together. */
typedef struct QueueBatch {
    Buf json; /* an array without its end */
    QueueWriter *first, *last;
    unsigned n;
} QueueBatch;

struct Queue {
    sd_event *event;
    Store *store;
    queue_send_t send;
    void *userdata;
    char community[UUID_SIZE]; /* "" = none */
    bool tunnel_up;
    /* writing */
    QueueBatch gathering, writing; /* writing.n > 0: its statement is under way */
    sd_event_source *commit;       /* once the loop has heard all writers of this turn */
    /* sending */
    StoreQuery *select;
    unsigned generation, select_generation; /* counts beginnings from the lowest */
    int64_t after[_QUEUE_PRIORITIES];       /* what has been sent */
    unsigned in_flight;
    bool drained;     /* the last look found nothing to send */
    bool more;        /* the last look did not see all */
    usec_t looked_at; /* when it began; boottime */
    sd_event_source *ack_timer, *look_timer, *tick_timer;
    sd_event_source *gather_timer; /* NULL: none is under way */
    Backoff resend;
    size_t written_bytes; /* since the bounds were looked at */
    size_t bytes_max;
    unsigned days_max;
};

/* Sends what can be sent now. */
void queue_drain(Queue *q);
/* The same within GATHER_INTERVAL of the last look, at once where that is longer ago. */
void queue_drain_soon(Queue *q);
/* From the lowest event on: after a reconnection, or when acknowledgements do not come. */
void queue_start_over(Queue *q);
int queue_start_timers(Queue *q);
/* A statement has ended with r. A session that may only read is left for another, which may do more. */
void queue_see_failure(Queue *q, int r);
/* Drops what is beyond the bounds. */
void queue_trim(Queue *q, bool passed);
