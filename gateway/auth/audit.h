/* SPDX-License-Identifier: MIT */
/* The audit log: who did what to which box. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "gateway/auth/backlog.h"
#include "lib/postgres/store.h"

#define OPERATOR_ACTOR_PREFIX "operator:"

typedef struct AuditEntry {
    const char *actor; /* "operator:NAME", "device:ID", "gateway" */
    const char *action;
    const char *device; /* may be NULL */
    bool alarm;         /* somebody has to look at it */
    cJSON *detail;      /* object, taken; may be NULL */
} AuditEntry;

/* From now on entries for this store go into a backlog, of which there is one in a process; NULL: no longer. Borrowed. */
void audit_keep(Store *s, Backlog *b);
/* Writes in the background, by the store's backlog where it has one, and logs a line. */
void audit_write(Store *s, const AuditEntry *entry);
/* The same, unless there is an entry of this device and action whose detail has the same values for these two keys: then nothing
 * is written or logged. on_done (may be NULL) is for who must know whether the database has it, and calls audit_written_once().
 * Negative, and not called: it has to be tried again. */
int audit_write_once(Store *s, const AuditEntry *entry, const char *const *keys, store_done_t on_done,
                     void *userdata) _must_check_;
/* Logs the entry if it was written now, or that it could not be. */
void audit_written_once(int r, const StoreRows *rows, const Error *err);
