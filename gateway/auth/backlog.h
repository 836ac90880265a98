/* SPDX-License-Identifier: MIT */
/* What must be written whatever the database says just now (a lock, read-only, a full disk, none at all): audit entries, and that
 * sessions began and ended. Each waits in a file, in order, until the database has it, over an end of this program, too; and is
 * written once, also where nobody knows whether an earlier try was carried out. */
#pragma once

#include "gateway/store/sessions-table.h"
#include "lib/data/json.h"
#include "lib/postgres/store.h"

typedef struct Backlog Backlog;

/* Takes up what an earlier run has left in the file. */
int backlog_new(Store *store, const char *path, Backlog **ret, Error *err) _must_check_;
Backlog *backlog_free(Backlog *b);
DEFINE_CLEANUP(Backlog, backlog_free)

/* `detail` is a JSON object, `device` may be NULL. -ENOMEM, -ENOBUFS when too much waits: it is in the log alone then. */
int backlog_add_audit(Backlog *b, const char *actor, const char *action, const char *device, bool alarm,
                      const char *detail) _must_check_;
int backlog_add_session_open(Backlog *b, const char *id, const char *grant, const char *way, const char *certificate,
                             const char *opened_at) _must_check_;
int backlog_add_session_close(Backlog *b, const SessionEnd *end) _must_check_;

/* Tries again what waits. */
void backlog_go_on(Backlog *b);
/* Calls back once, when nothing waits any more or the database refuses it for now; the store is up. */
void backlog_settle(Backlog *b, void (*on_settled)(void *userdata), void *userdata);
