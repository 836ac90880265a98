/* SPDX-License-Identifier: MIT */
/* The statements by which the guards' interface reads. */
#pragma once

#include <stdbool.h>

#include "lib/postgres/statement.h"

/* community, its data, epoch, version, applied (seconds since 1970), and a number that each change of rows raises;
 * no row: nothing is known yet. */
Statement sql_gate_community(void);
/* Seconds east of UTC of that zone now, and the zone; UTC where PostgreSQL does not know it. */
Statement sql_gate_offset(const char *zone);
/* id, data, whether it is unconfirmed. */
Statement sql_gate_bans(void);
/* id, name, pinHash of guards that have a PIN. */
Statement sql_gate_guards(void);
/* kind ("guest", "resident"), id, data, uses, name of the unit: those who may be meant by what was typed. */
Statement sql_gate_candidates(const char *typed);
/* The same of a plate that a camera has read, and guests of about today whose plate is one edit from it; one of them may be there
 * twice. */
Statement sql_gate_seen(const char *plate);
/* One guest or resident by id, in the same columns. */
Statement sql_gate_person(const char *id);
/* One guest in the same columns, and 5 whether this pass was used. */
Statement sql_gate_pass(const char *guest, const char *pass);
/* The columns of sql_gate_candidates(), and 5 the passes that were used (with blanks between), of the guests who are expected
 * between two moments (texts of RFC 3339 in UTC), by hours and name; and of some who are not: times in rows may have offsets, of
 * which the text tells nothing. */
Statement sql_gate_schedule(const char *from, const char *until, int64_t limit, int64_t offset);
/* id, data of units, by name. */
Statement sql_gate_units(const char *typed, int64_t limit, int64_t offset);
/* id, entered, left, data, exit: visits, newest first; those that are inside alone, or all. */
Statement sql_gate_visits(bool inside, int64_t limit, int64_t offset);
/* How many events wait to be sent. */
Statement sql_gate_queued(void);
/* id, at, data of the notes that guards left one another, newest first. */
Statement sql_gate_notes(int64_t limit);
