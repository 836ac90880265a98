/* SPDX-License-Identifier: MIT */
/* What the replica does with what the gateway says, decided without doing it. Pure; docs/states.md shows the table. */
#pragma once

#include <stdbool.h>

#include "secbox/replica/sync-message.h"

/* Where the replica stands: what the last committed transaction wrote. */
typedef struct SyncCursor {
    bool known; /* false: it holds nothing yet */
    char community[UUID_SIZE], epoch[UUID_SIZE];
    uint64_t version;
} SyncCursor;

typedef enum SyncVerdict {
    SYNC_APPLY,
    SYNC_DUPLICATE,   /* it is there already: acknowledged, not applied */
    SYNC_GAP,         /* it does not continue what is there */
    SYNC_OTHER_EPOCH, /* it belongs to another history, or another community */
} SyncVerdict;

SyncVerdict sync_judge_delta(const SyncCursor *at, const SyncMessage *delta);
/* Whole snapshots may bring another history; some tables only may not. One that is older than the replica is a duplicate. */
SyncVerdict sync_judge_begin(const SyncCursor *at, const SyncMessage *begin);
/* Whether a check is about what the replica holds: only then do sums tell anything. */
bool sync_check_applies(const SyncCursor *at, const SyncMessage *check);

typedef enum SyncState {
    SYNC_AWAY,     /* no tunnel, or no database: nothing can come */
    SYNC_WAITING,  /* sync.have is sent, and nothing has come since */
    SYNC_UNSERVED, /* the gateway says that the box serves no community */
    SYNC_ASKED,    /* for a snapshot; deltas are put aside */
    SYNC_LOADING,  /* a snapshot comes; deltas are put aside */
    SYNC_CURRENT,  /* it follows */
    _SYNC_STATES,
} SyncState;

typedef enum SyncInput {
    SYNC_IN_READY,   /* tunnel and database are there */
    SYNC_IN_LOST,    /* one of them is gone */
    SYNC_IN_NONE,    /* sync.none */
    SYNC_IN_BEGIN,   /* snapshot.begin, and it is wanted */
    SYNC_IN_APPLIED, /* a snapshot or changes are committed, or were there already, or a check found no difference */
    SYNC_IN_REFUSED, /* what came cannot be applied: sync.resnapshot */
    _SYNC_INPUTS,
} SyncInput;

/* The next state; -EINVAL where an input changes nothing. */
int sync_next(int state, int input);
const char *sync_state_name(int state);
const char *sync_input_name(int input);
/* Whether deltas wait for a snapshot that is under way. */
bool sync_holds_deltas(SyncState state);
