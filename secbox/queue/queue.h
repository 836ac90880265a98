/* SPDX-License-Identifier: MIT */
/* Events on their way to the cloud, in the box's own PostgreSQL: written together with what they report, sent in order
 * while the tunnel is up, and forgotten only when the gateway has said that it has them. */
#pragma once

#include <cjson/cJSON.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/uuid.h"
#include "lib/postgres/store.h"

typedef struct Queue Queue;

/* Sends a text to the gateway. Called only while the tunnel is up. */
typedef int (*queue_send_t)(const char *text, size_t len, void *userdata);

/* schema is that of the database; it and the strings are copied or live as long as the program. store.bad-config. */
int queue_new(sd_event *event, const char *database_url, const StoreSchema *schema, queue_send_t send, void *userdata,
              Queue **ret, Error *err) _must_check_;
/* Nothing is called any more; what was not committed yet may or may not be there. */
Queue *queue_free(Queue *q);
DEFINE_CLEANUP(Queue, queue_free)

/* How much waits at most, and how long; QUEUE_MB_DEFAULT and QUEUE_DAYS_DEFAULT until then. What is beyond is dropped at the next
 * look, within minutes. */
void queue_set_bounds(Queue *q, unsigned megabytes, unsigned days);
/* To which community new events belong, and whose events are sent: never those of another. NULL: none. */
void queue_set_community(Queue *q, const char *community);
void queue_tunnel_up(Queue *q);
void queue_tunnel_down(Queue *q);
/* True: the message was events.ack. text is its raw line. */
bool queue_take(Queue *q, const cJSON *message, const char *text);

typedef struct QueueEvent {
    const char *kind;      /* docs/wire-format.md; others are stored, too */
    const char *client_id; /* NULL: a new one. The same one again changes nothing */
    const cJSON *data;     /* an object */
    usec_t at;             /* since 1970; 0: now */
} QueueEvent;

/* r = 0: the event and what it reports are on disk. Otherwise as store_done_t; it may be there nevertheless when
 * r is -ENOTCONN: write it again with the same client_id. */
typedef void (*queue_written_t)(int r, const Error *err, void *userdata);

/* Writers that come while others are being written are committed together. on_written runs once, from the loop. ret_id
 * may be NULL. Errors: queue.bad-event, queue.too-large, queue.no-community, queue.busy, store.unavailable. */
int queue_write(Queue *q, const QueueEvent *e, queue_written_t on_written, void *userdata, char ret_id[UUID_SIZE],
                Error *err) _must_check_;
/* A statement of queue-sql.h, as store_query(). */
int queue_query(Queue *q, Statement st, store_done_t on_done, void *userdata, StoreQuery **ret,
                Error *err) _must_check_;
/* Whether it takes events now: it knows to which community they belong, and has its database. */
bool queue_is_ready(const Queue *q);
/* No event waits for the gateway, as far as is known. */
bool queue_is_drained(const Queue *q);
/* Looks for events to send now: something was put back. */
void queue_wake(Queue *q);
