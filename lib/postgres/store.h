/* SPDX-License-Identifier: MIT */
/* PostgreSQL behind one non-blocking connection on the loop: a bounded queue of parameterised statements, run
 * in order, one at a time. When the server goes away everything waiting fails at once and the store
 * reconnects. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "lib/postgres/rows.h"
#include "lib/postgres/schema.h"
#include "lib/postgres/statement.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct Store Store;
typedef struct StoreQuery StoreQuery;

typedef struct StoreEvents {
    /* Connected, and the schema is the one this program needs. Also after each reconnection. May be NULL. */
    void (*on_up)(Store *s, void *userdata);
    /* The connection was lost or could not be made; the next try is in retry_in. */
    void (*on_down)(Store *s, usec_t retry_in, const Error *err, void *userdata);
    /* Somebody has said NOTIFY on a channel for which this session has said LISTEN (a statement as any other, to be said again
     * whenever it is up). A proxy between may keep that from us, so that it is no more than a reason to look now. May be NULL. */
    void (*on_told)(Store *s, const char *channel, void *userdata);
} StoreEvents;

/* r is 0, -ENOTCONN with "store.unavailable" (the statement may or may not have been carried out), -EEXIST
 * with "store.conflict" (a unique constraint), -ENOBUFS with "store.locked" (another transaction holds it), or -EIO with
 * "store.query". rows is borrowed and NULL unless r is 0. */
typedef void (*store_done_t)(StoreQuery *q, int r, const StoreRows *rows, const Error *err, void *userdata);

/* Connects from the loop, never inside this call. conninfo is a libpq connection string or URI; a password in
 * it is made known to the redactor. schema is borrowed. Errors: store.bad-config. */
int store_new(sd_event *event, const char *conninfo, const StoreSchema *schema, const StoreEvents *events,
              void *userdata, Store **ret, Error *err) _must_check_;
/* Frees without calling back. */
Store *store_free(Store *s);
DEFINE_CLEANUP(Store, store_free)

/* Leaves a session that may only read, as when it is lost, for another: it would stay so when the database no longer is. */
void store_leave_read_only(Store *s);
bool store_is_up(const Store *s);
/* The server's code for the last failure of the connection or of a statement; "" where the server said nothing. */
const char *store_sqlstate(const Store *s);
/* For on_done, of its r: whether the database will say so of this statement for ever, because of what it holds. Everything
 * else passes: locks, a full disk, a server that is read-only or goes away, rights that are missing. */
bool store_refused_for_good(const Store *s, int r);
/* Whether statements that can wait should wait: the queue is more than half full, or the store is down. */
bool store_is_busy(const Store *s);

/* Sends a statement, or queues it behind others; its parameters are copied. on_done (may be NULL) runs once from the loop,
 * never from in here, after which the query is freed. ret may be NULL when nobody will cancel. -ENOTCONN
 * "store.unavailable" when the store is down, -ENOBUFS "store.busy" when the queue is full. */
int store_query(Store *s, Statement st, store_done_t on_done, void *userdata, StoreQuery **ret,
                Error *err) _must_check_;
/* on_done is not called any more. A statement that was not sent yet is dropped; one that was is carried out. NULL-safe. */
StoreQuery *store_query_free(StoreQuery *q);
