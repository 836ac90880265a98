/* SPDX-License-Identifier: MIT */
/* Messages that wait for the database, in order: a bounded list. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "secbox/replica/sync-message.h"

typedef struct SyncItem SyncItem;
struct SyncItem {
    SyncMessage message;
    SyncItem *next;
    size_t len;
    char text[]; /* as it came; only of messages whose rows the database takes */
};

typedef struct SyncInbox {
    SyncItem *first, *last;
    size_t n, bytes, n_max, bytes_max;
} SyncInbox;

/* text may be NULL. -ENOBUFS beyond the bounds, -ENOMEM. */
int sync_inbox_push(SyncInbox *in, const SyncMessage *m, const char *text) _must_check_;
/* NULL when empty; free() it. */
SyncItem *sync_inbox_pop(SyncInbox *in);
/* Moves an item behind the others, within the bounds or not at all (-ENOBUFS, the item stays the caller's). */
int sync_inbox_append(SyncInbox *in, SyncItem *item) _must_check_;
/* Puts all of `from` before what is in `in`, whatever the bounds; `from` is empty afterwards. */
void sync_inbox_prepend(SyncInbox *in, SyncInbox *from);
void sync_inbox_clear(SyncInbox *in);
