/* SPDX-License-Identifier: MIT */
/* The community's data on the box: a copy in the box's own PostgreSQL that follows the gateway by snapshots and changes
 * (docs/wire-format.md, docs/states.md). What is there stays readable whatever the tunnel, the gateway or this program
 * do; a database that is away is a state with a name and never the end of the program. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/postgres/store.h"
#include "secbox/replica/database-state.h"
#include "secbox/replica/sync-rules.h"

typedef struct Replica Replica;

typedef struct ReplicaEvents {
    /* Sends to the gateway; takes `message`. Called only while the tunnel is up. */
    int (*send)(cJSON *message, void *userdata);
    /* The database's state, or the community, is another one now. */
    void (*on_change)(Replica *r, void *userdata);
    /* The community's data are others than before. */
    void (*on_data)(Replica *r, void *userdata);
} ReplicaEvents;

/* Connects from the loop. Errors: store.bad-config. */
int replica_new(sd_event *event, const char *database_url, const ReplicaEvents *events, void *userdata, Replica **ret,
                Error *err) _must_check_;
/* Nothing is called any more. */
Replica *replica_free(Replica *r);
DEFINE_CLEANUP(Replica, replica_free)

void replica_tunnel_up(Replica *r);
void replica_tunnel_down(Replica *r);
/* True: the message was about community data. text is its raw line. */
bool replica_take(Replica *r, const cJSON *message, const char *text);

const SyncCursor *replica_cursor(const Replica *r);
SyncState replica_state(const Replica *r);
DatabaseState replica_database(const Replica *r);

/* A person wants these tables (bits of SyncTable) again. sync.no-gateway when nobody can be asked. */
int replica_resync(Replica *r, unsigned tables, Error *err) _must_check_;
/* A statement of replica-sql.h, in order with the replica's own; as store_query(). */
int replica_query(Replica *r, Statement st, store_done_t on_done, void *userdata, StoreQuery **ret,
                  Error *err) _must_check_;
/* A person agrees that an unconfirmed ban has ended. r = 0: `released` tells whether there was such a ban. */
typedef void (*replica_released_t)(int r, bool released, const Error *err, void *userdata);
/* on_done runs once, from the loop. Errors: sync.busy while another one is under way, and those of store_query(). */
int replica_release(Replica *r, const char *ban, replica_released_t on_done, void *userdata, Error *err) _must_check_;
/* What the gateway said last that this table holds; NULL when it is not about the present version. */
const SyncSum *replica_expected(const Replica *r, SyncTable t);
