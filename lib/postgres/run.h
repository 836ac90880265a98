/* SPDX-License-Identifier: MIT */
/* Statements from the command line: straight to the database, to the end, whether the service runs or not. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/schema.h"
#include "lib/postgres/statement.h"
#include "lib/base/error.h"

/* Connects, brings the schema up to date and runs one statement (NULL: none). ret may be NULL. Errors: as those of
 * store_query(), store.bad-config. */
int store_run(const char *conninfo, const StoreSchema *s, const Statement *st, StoreRows **ret,
              Error *err) _must_check_;
