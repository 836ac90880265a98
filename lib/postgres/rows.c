/* SPDX-License-Identifier: MIT */
/* A StoreRows is libpq's result. */
#include "lib/postgres/rows.h"

#include <errno.h>
#include <libpq-fe.h>
#include <limits.h>
#include <string.h>

#include "lib/base/strv.h"

size_t store_rows_count(const StoreRows *rows)
{
    int n = PQntuples((const PGresult *) rows);
    return n > 0 ? (size_t) n : 0;
}

const char *store_rows_get(const StoreRows *rows, size_t row, unsigned column)
{
    const PGresult *result = (const PGresult *) rows;
    if (row >= store_rows_count(rows) || column > INT_MAX || PQgetisnull(result, (int) row, (int) column))
        return NULL;
    return PQgetvalue(result, (int) row, (int) column);
}

bool store_rows_true(const StoreRows *rows, size_t row, unsigned column)
{
    return str_equal(store_rows_get(rows, row, column), "t");
}

int store_rows_u64(const StoreRows *rows, size_t row, unsigned column, uint64_t max, uint64_t *ret)
{
    const char *text = store_rows_get(rows, row, column);
    return text && str_to_u64(text, 0, max, ret) >= 0 ? 0 : -EBADMSG;
}

int store_rows_copy(const StoreRows *rows, size_t row, unsigned column, char **ret)
{
    const char *text = store_rows_get(rows, row, column);
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

StoreRows *store_rows_free(StoreRows *rows)
{
    PQclear((PGresult *) rows);
    return NULL;
}
