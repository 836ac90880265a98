/* SPDX-License-Identifier: MIT */
/* CSV (RFC 4180): records of fields, with "quotes" where a field holds a separator, a quote or a line end. The first line
 * decides whether fields are separated by ',' or ';'. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

#define CSV_FIELDS_MAX 64

typedef struct CsvReader {
    char *text; /* borrowed; it is changed while it is read */
    size_t len, at;
    char separator;
    unsigned line; /* of what is read next, from 1 */
    char *fields[CSV_FIELDS_MAX];
    size_t n_fields;
    unsigned record_line; /* where the record began */
} CsvReader;

/* text has a NUL behind its len bytes. A byte order mark is skipped. */
void csv_start(CsvReader *r, char *text, size_t len);
/* The next record into fields, which point into the text. 1: there is one; 0: the end. Empty lines are skipped. -EBADMSG with
 * "csv.*" and the line, after which the next record may be asked for. */
int csv_next(CsvReader *r, Error *err) _must_check_;
