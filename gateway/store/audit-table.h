/* SPDX-License-Identifier: MIT */
/* The audit log. */
#pragma once

#include "lib/postgres/statement.h"

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
/* 0 {"entries": […]}, newest first. */
Statement sql_audit_list(uint64_t limit);
