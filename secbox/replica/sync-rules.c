/* SPDX-License-Identifier: MIT */
#include "secbox/replica/sync-rules.h"

#include <errno.h>

#include "lib/base/strv.h"

static bool same_history(const SyncCursor *at, const SyncMessage *m)
{
    return at->known && str_equal(at->epoch, m->epoch) && str_equal(at->community, m->community);
}

SyncVerdict sync_judge_delta(const SyncCursor *at, const SyncMessage *delta)
{
    if (!same_history(at, delta))
        return SYNC_OTHER_EPOCH;
    if (delta->to <= at->version)
        return SYNC_DUPLICATE;
    return delta->from == at->version ? SYNC_APPLY : SYNC_GAP;
}

SyncVerdict sync_judge_begin(const SyncCursor *at, const SyncMessage *begin)
{
    bool whole = begin->tables == SYNC_ALL_TABLES;

    if (!same_history(at, begin))
        return whole ? SYNC_APPLY : SYNC_OTHER_EPOCH;
    return begin->version < at->version ? SYNC_DUPLICATE : SYNC_APPLY;
}

bool sync_check_applies(const SyncCursor *at, const SyncMessage *check)
{
    return at->known && str_equal(at->epoch, check->epoch) && at->version == check->version;
}

int sync_next(int state, int input)
{
    static const int next[_SYNC_INPUTS] = {
        [SYNC_IN_READY] = SYNC_WAITING, [SYNC_IN_LOST] = SYNC_AWAY,       [SYNC_IN_NONE] = SYNC_UNSERVED,
        [SYNC_IN_BEGIN] = SYNC_LOADING, [SYNC_IN_APPLIED] = SYNC_CURRENT, [SYNC_IN_REFUSED] = SYNC_ASKED,
    };
    bool begins_anew = state == SYNC_LOADING && input == SYNC_IN_BEGIN;

    if ((state == SYNC_AWAY) != (input == SYNC_IN_READY) && input != SYNC_IN_LOST)
        return -EINVAL;
    return next[input] == state && !begins_anew ? -EINVAL : next[input];
}

const char *sync_state_name(int state)
{
    static const char *const names[] = {
        [SYNC_AWAY] = "away",   [SYNC_WAITING] = "waiting", [SYNC_UNSERVED] = "unserved",
        [SYNC_ASKED] = "asked", [SYNC_LOADING] = "loading", [SYNC_CURRENT] = "current",
    };

    return names[state];
}

const char *sync_input_name(int input)
{
    static const char *const names[] = {
        [SYNC_IN_READY] = "ready", [SYNC_IN_LOST] = "lost",       [SYNC_IN_NONE] = "none",
        [SYNC_IN_BEGIN] = "begin", [SYNC_IN_APPLIED] = "applied", [SYNC_IN_REFUSED] = "refused",
    };

    return names[input];
}

bool sync_holds_deltas(SyncState state)
{
    return state == SYNC_ASKED || state == SYNC_LOADING;
}
