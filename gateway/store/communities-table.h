/* SPDX-License-Identifier: MIT */
/* Communities, the rows that belong to them, and the log of their changes. A row's `kind` is the table in which boxes see it:
 * communities, units, users, guests, bans. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

typedef struct RowChange {
    const char *kind, *id, *community;
    const char *data;  /* a JSON object; NULL: delete the row */
    const char *match; /* NULL, "any", "none", or the version that the row must have */
    bool keep_pin;     /* the PIN that the row has is not replaced */
    const char *actor;
} RowChange;

/* What became of it; texts are borrowed from the rows. */
typedef struct RowChangeResult {
    const char *outcome; /* created, changed, same, deleted, or why not (schema-communities.c) */
    const char *detail;
    const char *epoch;   /* of the community */
    const char *version; /* the same */
    const char *row_version;
    const char *json; /* the row as it is shown; NULL when there is none */
} RowChangeResult;

Statement sql_row_change(const RowChange *c);
RowChangeResult row_changed(const StoreRows *rows);

/* 0 the row as JSON, 1 its version; no row: it is not there. */
Statement sql_row(const char *kind, const char *id, const char *community);

typedef struct RowFilter {
    const char *kind, *community; /* community NULL: of all */
    const char *after;            /* id; NULL: from the beginning */
    const char *like;             /* part of a name, plate, document, phone, code, number or street; NULL: any */
    const char *members;          /* a JSON object that the row has to contain; NULL: any */
    uint64_t limit;
} RowFilter;

/* 0 {"rows", "next"}, by id; 1 whether there is such a community. */
Statement sql_rows(const RowFilter *f);
