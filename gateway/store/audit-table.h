/* SPDX-License-Identifier: MIT */
/* The audit log, and the chain that its entries are links of: table audit_chain has for each the SHA-256, in hexadecimal, over the
 * hash of the one before (nothing for the first), a line feed and the canonical bytes of the entry. The database itself links
 * what is written (schema-audit.c). */
#pragma once

#include "lib/postgres/statement.h"

/* The tables are there, and what was in the log before is linked. */
extern const char schema_audit_chain[];

/* SQL for the canonical bytes of a row `a` of the log: a JSON array as jsonb prints it. For ever as it is. */
#define AUDIT_CANONICAL                                                                                                \
    "jsonb_build_array(a.id, (extract(epoch FROM a.at) * 1000000)::bigint, a.actor, a.action, a.device, a.alarm,"      \
    " a.detail)::text"

typedef struct AuditRow {
    const char *actor, *action;
    const char *device; /* may be NULL */
    bool alarm;
    const char *detail; /* a JSON object */
} AuditRow;

Statement sql_audit_add(const AuditRow *a);
/* At that time, in microseconds since 1970; the second one unless there is exactly that entry already. */
Statement sql_audit_add_at(const AuditRow *a, uint64_t at);
Statement sql_audit_add_again(const AuditRow *a, uint64_t at);
/* The same for many: a JSON array of objects with actor, action, device, alarm, detail (as text), at. */
Statement sql_audit_add_all(const char *entries);
/* Unless this device has an entry of this action with the same values for both keys in its detail: then there is no row. 0 actor,
 * 1 action, 2 device, 3 a text if it is an alarm, 4 detail. */
Statement sql_audit_add_once(const AuditRow *a, const char *key, const char *other_key);
/* 0 {"entries": […]}, newest first, of those with an id below `before`; 0: of all. */
Statement sql_audit_list(uint64_t limit, uint64_t before, const char *labels);

/* Links behind this one, in order. 0 number, 1 entry, 2 hash, 3 canonical bytes or NULL where there is no such entry any more,
 * 4 when, 5 action. */
Statement sql_audit_links(uint64_t behind, uint64_t limit);
/* Of so many entries behind this one, and behind where the chain begins: 0 the last, NULL when there are none; 1 the first that is
 * no link of the chain, or NULL. */
Statement sql_audit_unlinked(uint64_t behind, uint64_t limit);
/* 0 "NUMBER:HASH" of the last link; no row where there is none. */
Statement sql_audit_head(void);
/* 0 whether the chain has this hash at that number. */
Statement sql_audit_has_link(uint64_t number, const char *hash);
