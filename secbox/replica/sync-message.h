/* SPDX-License-Identifier: MIT */
/* What the gateway says about community data (docs/wire-format.md), read and judged before anything is done with it. The
 * rows themselves are not looked at: the database takes them out of the message's own text. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/uuid.h"

#define SYNC_SNAPSHOT_ID_SIZE 65

typedef enum SyncTable {
    SYNC_COMMUNITIES,
    SYNC_UNITS,
    SYNC_USERS,
    SYNC_GUESTS,
    SYNC_BANS,
    _SYNC_TABLES,
} SyncTable;

#define SYNC_ALL_TABLES ((1U << _SYNC_TABLES) - 1)

const char *sync_table_name(SyncTable t);
/* -ENOENT for a name that is not known here. */
int sync_table_find(const char *name);

typedef enum SyncKind {
    SYNC_NONE,
    SYNC_BEGIN,
    SYNC_ROWS,
    SYNC_END,
    SYNC_DELTA,
    SYNC_CHECK,
} SyncKind;

/* What a table must hold: of snapshot.begin and sync.check. */
typedef struct SyncSum {
    uint64_t count;
    char checksum[17]; /* lower case */
} SyncSum;

/* Only the members of its kind are set. Numbers fit into the database's bigint. */
typedef struct SyncMessage {
    SyncKind kind;
    char community[UUID_SIZE], epoch[UUID_SIZE], snapshot[SYNC_SNAPSHOT_ID_SIZE];
    uint64_t version, from, to, index, chunks;
    unsigned tables; /* bits of SyncTable; those that are not known here are left out */
    SyncSum sums[_SYNC_TABLES];
} SyncMessage;

/* -ENOMSG for a message that is about something else; -EBADMSG (sync.bad-message). `message` has passed message_parse(). */
int sync_message_read(const cJSON *message, SyncMessage *ret, Error *err) _must_check_;
