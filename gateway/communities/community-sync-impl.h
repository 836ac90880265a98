/* SPDX-License-Identifier: MIT */
/* What the files of the sync share with each other and with nobody else. */
#pragma once

#include "gateway/communities/community-sync.h"
#include "gateway/communities/row-check.h"
#include "lib/base/map.h"
#include "lib/base/token-bucket.h"

struct CommunitySync {
    Store *store;
    DeviceConns *conns;
    CommunitySyncOptions options;
    Map *boxes; /* device → SyncBox, owned */
    usec_t tidied;
    bool aging; /* the statement about the age of bans is under way */
};

/* One snapshot on its way to a box. */
typedef struct SnapshotProgress {
    char *id;     /* NULL: none */
    char *tables; /* "{bans,units}"; NULL: all */
    uint64_t version;
    bool begun;
    uint64_t chunks, next, got; /* messages of rows: of the snapshot, sent, confirmed */
} SnapshotProgress;

/* What the database is told of what a box has: one statement at a time, however often the box says it. */
typedef struct ReplicaReport {
    StoreQuery *query;
    bool has;                /* what is being written is what the box said after connecting */
    bool wanted, wanted_has; /* the same of what waits */
} ReplicaReport;

/* A box that keeps a copy, while its tunnel is up. */
typedef struct SyncBox {
    CommunitySync *owner;
    char *device;
    uint64_t connection;
    bool follows; /* it serves a community, which is known here */
    char community[UUID_SIZE], epoch[UUID_SIZE];
    char have_community[UUID_SIZE], have_epoch[UUID_SIZE];
    uint64_t newest;        /* of the community */
    uint64_t sent, applied; /* what it has when all that was sent arrives; what it has said that it has */
    bool lookup_wanted, snapshot_wanted, check_wanted;
    char *tables_wanted; /* those of the snapshot that is wanted; NULL: all */
    SnapshotProgress snapshot;
    TokenBucket snapshots; /* how often it may ask for one */
    usec_t checked;
    StoreQuery *query; /* one at a time */
    ReplicaReport note;
    bool doubted; /* it has said that it has what the database does not know, and there was an alarm */
} SyncBox;

/* Does the next thing that can be done for a box. */
void sync_box_step(SyncBox *b);
/* Forgets the snapshot on its way. */
void sync_box_drop_snapshot(SyncBox *b);
