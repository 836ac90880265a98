/* SPDX-License-Identifier: MIT */
/* What boxes are sent of a community, and what they have of it. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

/* Which community a box serves. */
typedef struct BoxCommunityRow {
    const char *label;     /* NULL: it has none */
    const char *community; /* NULL: there is no such community */
    const char *epoch;
    uint64_t version, log_floor; /* the log has what came behind it */
} BoxCommunityRow;

Statement sql_box_community(const char *device);
/* 0 or -EBADMSG; borrows from rows, which may be empty: there is no such device. */
int box_community_row(const StoreRows *rows, BoxCommunityRow *ret) _must_check_;

/* Communities that have changed lately: 0 id, 1 epoch, 2 version. */
Statement sql_communities_changed(void);
/* A new epoch, because a box has a version that the database does not know, and an alarm; at most once an hour, whatever boxes
 * say. No row: that was noticed before, or has to wait, of which there is an alarm if `tell`. 0 epoch, 1 version, 2 community. */
Statement sql_epoch_renew(const char *community, const char *epoch, uint64_t version, const char *device, bool tell);

/* 0 the text of delta.changes, 1 its `to`; no row: the log does not have what comes behind `from`. */
Statement sql_delta(const char *community, const char *epoch, uint64_t from, uint64_t up_to);
/* 0 the text of sync.check, 1 epoch, 2 version. */
Statement sql_sync_check(const char *community);
/* 0 id, 1 epoch, 2 version of a snapshot that is no older than this version. */
Statement sql_snapshot(const char *community, uint64_t min_version);
/* Of the tables in "{a,b}", NULL: all. 0 the text of snapshot.begin, 1 how many messages of rows there are. */
Statement sql_snapshot_begin(const char *snapshot, const char *tables);
/* 0 the text of snapshot.rows. */
Statement sql_snapshot_rows(const char *snapshot, const char *tables, uint64_t index);
/* Drops snapshots that nobody needs, and changes that are older than the log is kept. */
Statement sql_sync_tidy(void);

typedef struct BoxReplica {
    const char *device;
    const char *community, *epoch; /* NULL: it has nothing */
    uint64_t version;
    bool has; /* the box says so after connecting: it may be less than before */
} BoxReplica;

Statement sql_box_applied(const BoxReplica *p);

/* Notes which of the connected boxes ("{a,b}") are up to date, and raises or ends alarms about bans that boxes do not have. */
Statement sql_bans_age(const char *connected, uint64_t behind_seconds, uint64_t away_seconds);

/* 0 {"ban", "boxes"}; no row: there has never been such a ban. */
Statement sql_ban_status(const char *community, const char *ban);
/* 0 {"version", "boxes"}; no row: there is no such community. */
Statement sql_community_boxes(const char *community);
