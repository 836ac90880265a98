/* SPDX-License-Identifier: MIT */
/* What the verbs that people type share: straight to the database, whether the gateway runs or not. */
#pragma once

#include "gateway/settings.h"
#include "lib/base/error.h"
#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

/* Reports a failure; returns the exit code. */
int gateway_fail(const Settings *s, const Error *err, int r);
/* Where the database is: as said, else as the unit's own file says, and from then on as the unit's own user, who may not read that
 * file: whoever asks more than once asks for it first, and names it in the settings. *ret: a new string, which may hold a password,
 * or NULL; returns as gateway_run(). */
int gateway_find_database(const Settings *s, char **ret);
/* Brings the schema up to date and runs one statement (NULL: none); the rows are only valid when EXIT_OK is returned. What fails
 * was reported. ret may be NULL. */
int gateway_run(const Settings *s, const Statement *st, StoreRows **ret);
