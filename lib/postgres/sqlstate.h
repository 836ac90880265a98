/* SPDX-License-Identifier: MIT */
/* The five characters by which PostgreSQL names a failure (appendix "PostgreSQL Error Codes" of its manual). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SQLSTATE_SIZE 6
#define SQLSTATE_READ_ONLY "25006"

/* Looks for "SEVERITY:  SQLSTATE: " in a message of libpq, as it stands there while a connection is made. Returns where
 * the code begins, NULL when there is none. Severities are in the server's language, hence not compared. */
const char *sqlstate_find(const char *message);
/* Whether a statement failed because it ran by a name: a pooler between here and the database lost the name or has given it to
 * somebody else, or the columns have changed since. */
bool sqlstate_is_of_prepared(const char *state);
