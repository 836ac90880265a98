/* SPDX-License-Identifier: MIT */
/* The audit log. */
#pragma once

#include "gateway/store/statement.h"

typedef struct AuditRow {
    const char *actor, *action;
    const char *device; /* may be NULL */
    bool alarm;
    const char *detail; /* a JSON object */
} AuditRow;

Statement sql_audit_add(const AuditRow *a);
/* 0 {"entries": […]}, newest first. */
Statement sql_audit_list(uint64_t limit);
