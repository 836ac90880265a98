/* SPDX-License-Identifier: MIT */
/* What is the matter with the box's database, by the code that the server gave (SQLSTATE). Pure; docs/states.md lists
 * the states. None of them ends secbox. */
#pragma once

typedef enum DatabaseState {
    DATABASE_NONE, /* DATABASE_URL is not set */
    DATABASE_CONNECTING,
    DATABASE_UP,
    DATABASE_UNREACHABLE,
    DATABASE_STARTING,
    DATABASE_MISSING,
    DATABASE_REFUSED,
    DATABASE_FULL,
    DATABASE_READ_ONLY,
    DATABASE_BUSY,
    DATABASE_DAMAGED,
    DATABASE_UNSUITABLE,
    _DATABASE_STATES,
} DatabaseState;

const char *database_state_name(DatabaseState s);
/* What a person should know or do; completes "the database is …". */
const char *database_state_help(DatabaseState s);

/* When the connection could not be made, or was lost; "" when the server said nothing. */
DatabaseState database_state_when_down(const char *sqlstate);
/* When a statement failed: DATABASE_UP where the statement is to blame and not the database. */
DatabaseState database_state_when_failed(const char *sqlstate);
