/* SPDX-License-Identifier: MIT */
/* One statement of SQL with its parameters, ready to be queued or run. The functions that make them are named sql_…
 * and stand with the tables that they are about. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATEMENT_PARAMS_MAX 24

typedef struct StatementParam {
    const char *text; /* NULL, and not a number: SQL null */
    int64_t number;
    bool is_number;
} StatementParam;

/* Borrows its texts: it has to be queued while they are there. */
typedef struct Statement {
    const char *sql; /* lives as long as the program */
    bool often; /* a Store keeps it prepared as long as its session: nothing may change what columns it answers with */
    size_t n;
    StatementParam params[STATEMENT_PARAMS_MAX];
} Statement;

static inline StatementParam sql_text(const char *text)
{
    return (StatementParam) { .text = text };
}

static inline StatementParam sql_number(int64_t number)
{
    return (StatementParam) { .number = number, .is_number = true };
}

static inline StatementParam sql_flag(bool flag)
{
    return sql_text(flag ? "true" : "false");
}

/* What to_char writes of a timestamptz AT TIME ZONE 'UTC' by it is RFC 3339 with milliseconds. */
#define SQL_TIME_FORMAT "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'"

/* $1, $2 and so on are the parameters after the SQL, in order. */
#define STATEMENT(text, ...)                                                                                           \
    ((Statement) { .sql = (text),                                                                                      \
                   .n = sizeof((StatementParam[]) { __VA_ARGS__ }) / sizeof(StatementParam),                           \
                   .params = { __VA_ARGS__ } })

/* A statement that is run so often that to parse it anew each time costs something. */
#define STATEMENT_OFTEN(text, ...)                                                                                     \
    ((Statement) { .sql = (text),                                                                                      \
                   .often = true,                                                                                      \
                   .n = sizeof((StatementParam[]) { __VA_ARGS__ }) / sizeof(StatementParam),                           \
                   .params = { __VA_ARGS__ } })

/* The parameters as libpq takes them: one block to free(), pointers first, then the texts. NULL when out of memory. */
char **statement_params(const Statement *st);
