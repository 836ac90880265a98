/* SPDX-License-Identifier: MIT */
/* The statements of the replica. Each is one transaction. */
#pragma once

#include "lib/postgres/statement.h"

/* community, epoch, version, applied, checked, bans, unconfirmed bans, seconds since applied; no row: it holds nothing. */
Statement sql_replica_cursor(void);
/* id, digest of the face of bans and users that have one: where there are more, bans count, and the same ones each time. */
Statement sql_replica_faces(int64_t limit);
Statement sql_replica_unstage(void);
/* `message` is the text of snapshot.rows. */
Statement sql_replica_stage(const char *message);
/* Answers "ok", "old", "count", "checksum" or "epoch"; only "ok" has changed anything. */
Statement sql_replica_swap(const char *snapshot, const char *community, const char *epoch, uint64_t version,
                           const char *tables);
/* `messages` is a JSON array of delta.changes, each of which continues the one before it. Answers what came of the first ("ok",
 * "duplicate", "gap" or "epoch"), and the version that the replica has now: those up to it are applied. */
Statement sql_replica_deltas(const char *messages);
/* table, count, checksum of all tables. */
Statement sql_replica_sums(void);
/* The sums were those of the gateway. */
Statement sql_replica_checked(void);
/* id, name, plate, document, reason, since of the bans that wait for a person. */
Statement sql_replica_unconfirmed(void);
/* A person agrees that this one has ended: its id, if there was one. */
Statement sql_replica_release(const char *ban);
