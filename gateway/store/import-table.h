/* SPDX-License-Identifier: MIT */
/* Imports of whole tables of a community. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

typedef struct ImportTarget {
    const char *import, *community, *kind;
} ImportTarget;

/* Puts rows aside: a JSON array of {"line", "id", "data"}, without id and data where the line was not good. 0 how many these
 * are. */
Statement sql_import_put(const ImportTarget *t, const char *rows);
/* When exactly so many rows wait. 0 done, errors, incomplete or no-community; 1 epoch and 2 version of the community; 3 the
 * report. */
Statement sql_import_finish(const ImportTarget *t, uint64_t rows, bool replace, bool dry_run, const char *actor);
/* Forgets what was put aside. */
Statement sql_import_forget(const char *import);
