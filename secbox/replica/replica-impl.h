/* SPDX-License-Identifier: MIT */
/* What the files of the replica share: replica.c has its life, replica-apply.c what messages do. */
#pragma once

#include "lib/event/backoff.h"
#include "secbox/replica/replica.h"
#include "secbox/replica/sync-inbox.h"

struct Replica {
    sd_event *event;
    ReplicaEvents events;
    void *userdata;
    Store *store;
    StoreQuery *query; /* the one step that is under way; everything else waits for it */
    DatabaseState database;
    bool loaded; /* `at` is what the database says */
    bool tunnel_up;
    unsigned generation; /* counts losses: the end of a step of an earlier one only moves the cursor */
    unsigned query_generation;
    SyncCursor at;
    SyncState state;
    SyncInbox inbox, held; /* held: deltas that wait for a snapshot */
    bool overflowed;       /* something was dropped for want of room */
    SyncItem *item;        /* that the step is about */
    SyncInbox batch;       /* changes that are applied together with it */
    struct {
        bool active;
        SyncMessage begin;
        uint64_t next; /* index of the rows that come next */
        uint64_t seen; /* the same when it was last looked whether it goes on */
    } snapshot;
    SyncMessage check; /* the last one */
    sd_event_source *retry, *ask, *renew;
    usec_t next_ask; /* not before, unless a person wants it */
    Backoff ask_backoff, pause_backoff;
    const char *asked_reason;
    unsigned asked_tables;
    StoreQuery *release; /* under way */
    replica_released_t on_released;
    void *released_userdata;
};

/* Does what can be done now. */
void replica_pump(Replica *r);
void replica_enter(Replica *r, SyncInput in);
/* Forgets what is under way, as after a reconnection; what is committed stays. */
void replica_lose(Replica *r);
/* The same, and begins anew by itself after a while: the database cannot, or the tunnel's queue is full. */
void replica_pause(Replica *r);
void replica_set_database(Replica *r, DatabaseState state);
/* Sends, and pauses where that fails. Takes message. */
void replica_send(Replica *r, cJSON *message);
/* Asks the gateway for tables (0: all); not more often than a backoff allows. `reason` lives as long as the program. */
void replica_refuse(Replica *r, const char *reason, unsigned tables);
/* Asks again if the snapshot that has begun makes no progress. */
void replica_expect_rows(Replica *r);
/* Starts the step of one message. True: a query is under way, its end pumps again. */
bool replica_step(Replica *r, SyncItem *item);
int replica_begin_query(Replica *r, Statement st, store_done_t on_done);
/* First line of each on_done: 0 when the step may go on. Deals with failures. */
int replica_end_query(Replica *r, int result, const Error *err);
