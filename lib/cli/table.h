/* SPDX-License-Identifier: MIT */
/* Aligned text tables for command lines. */
#pragma once

#include "lib/base/mem.h"

typedef struct Table Table;

#define TABLE_COLUMNS_MAX 12

/* `headers` ends with NULL; at most TABLE_COLUMNS_MAX. NULL when out of memory. */
Table *table_new(const char *const *headers);
Table *table_free(Table *t);
DEFINE_CLEANUP(Table, table_free)

/* One cell per header, made printable (text.h); NULL and "" show as "-". 0 or -ENOMEM. */
int table_add(Table *t, const char *const *cells) _must_check_;
#define table_row(t, ...) table_add((t), (const char *const[]) { __VA_ARGS__ })

size_t table_rows(const Table *t);

/* Headers and rows, `indent` spaces before each line, two between columns, none at the end. A new string or NULL. */
char *table_print(const Table *t, unsigned indent);
