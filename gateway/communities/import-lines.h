/* SPDX-License-Identifier: MIT */
/* The lines of a file to import, as rows that can be put aside. Pure. */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

#include "gateway/communities/row-check.h"

#define IMPORT_ERRORS_MAX 100 /* that are told one by one */

typedef struct ImportLines {
    RowKind kind;
    char community[UUID_SIZE];
    uint64_t line;     /* of the first row in the whole file; 0: this is the whole file */
    cJSON *rows;       /* array of {"line", "id", "data"}; owned */
    cJSON *errors;     /* array of {"line", "error"}; owned */
    unsigned n_errors; /* all of them */
} ImportLines;

void import_lines_done(ImportLines *l);
/* What stands in front of `rows` and `errors` is set. The text has a NUL behind it, and is changed. A line that is not good is
 * among the errors, and a row without id and data. */
int import_lines_csv(ImportLines *l, char *text, size_t len, Error *err) _must_check_;
int import_lines_ndjson(ImportLines *l, char *text, size_t len, Error *err) _must_check_;
