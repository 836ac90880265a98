/* SPDX-License-Identifier: MIT */
/* Support sessions: each step of one is written once, with its entry in the audit log, however often it is tried. */
#pragma once

#include "lib/postgres/statement.h"

/* `certificate`: the serial number of the one that this session alone logs in with, as text; NULL: not known. With the session's
 * end it is revoked (sql_revocations()). */
Statement sql_session_open(const char *id, const char *grant, const char *way, const char *opened_at,
                           const char *certificate);
Statement sql_session_bytes(const char *id, uint64_t to_box, uint64_t from_box);

typedef struct SessionEnd {
    const char *id, *closed_at, *reason;
    uint64_t to_box, from_box;
} SessionEnd;

/* An end that is not the person's own doing is told (withdrawn.h), so that its certificate is revoked at once. */
Statement sql_session_close(const SessionEnd *e);
/* Closes what is still open in the database, for this reason. */
Statement sql_sessions_close_all(const char *reason);
/* 0 {"sessions": […]}, newest first. NULL: of every device. */
Statement sql_sessions(const char *device, uint64_t limit, const char *labels);
