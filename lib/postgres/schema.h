/* SPDX-License-Identifier: MIT */
/* What a program needs of its database: its tables, as a list of steps that only ever grows, and what its connections
 * are allowed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"

typedef struct SchemaStep {
    unsigned version;
    const char *sql;
} SchemaStep;

typedef struct StoreSchema {
    const char *program;     /* named to the server, and in sentences about a newer schema */
    const char *setting;     /* where a person names the database: "give --database or set …" */
    const char *lock;        /* a number for the advisory lock that nobody else uses in this database */
    bool newer_is_fine;      /* steps only add: a schema that a later program has made is good as it is */
    const SchemaStep *steps; /* in order; ends with {} */
    usec_t statement_max;    /* how long the server lets a statement run */
    size_t queries_max;      /* statements that may wait */
} StoreSchema;

/* One script for the simple protocol that brings any older schema up to date, in a transaction under the advisory lock,
 * and sets the session's limits. New string, NULL when out of memory. */
char *schema_script(const StoreSchema *schema);
/* The same in parts, to be run one after the other as long as each succeeds: a connection keeps the memory that its longest
 * message took. Ends with NULL; strv_free() it. */
char **schema_script_parts(const StoreSchema *schema);
