/* SPDX-License-Identifier: MIT */
/* Aligned text tables: cells are kept until the widths of all columns are known. */
#include "lib/cli/table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "lib/base/text.h"

struct Table {
    size_t n_columns;
    size_t n_cells, cap;
    char **cells; /* row by row, the headers first */
};

Table *table_free(Table *t)
{
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
    return NULL;
}

static int table_reserve(Table *t)
{
    if (t->n_cells + t->n_columns <= t->cap)
        return 0;
    size_t cap = t->cap * 2 + 8 * t->n_columns;
    char **cells = realloc(t->cells, cap * sizeof(*cells));
    if (!cells)
        return -ENOMEM;
    t->cells = cells;
    t->cap = cap;
    return 0;
}

int table_add(Table *t, const char *const *cells)
{
    int r = table_reserve(t);
    if (r < 0)
        return r;

    for (size_t i = 0; i < t->n_columns; i++) {
        char *text = text_printable(cells[i] && *cells[i] ? cells[i] : "-");
        if (!text) {
            while (i-- > 0)
                free(t->cells[t->n_cells + i]);
            return -ENOMEM;
        }
        t->cells[t->n_cells + i] = text;
    }
    t->n_cells += t->n_columns;
    return 0;
}

Table *table_new(const char *const *headers)
{
    _cleanup_(table_freep) Table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    while (headers[t->n_columns] && t->n_columns < TABLE_COLUMNS_MAX)
        t->n_columns++;
    if (table_add(t, headers) < 0)
        return NULL;
    return TAKE_PTR(t);
}

size_t table_rows(const Table *t)
{
    return t->n_cells / t->n_columns - 1;
}

char *table_print(const Table *t, unsigned indent)
{
    size_t widths[TABLE_COLUMNS_MAX] = {};
    char *text = NULL;
    size_t size = 0;

    for (size_t i = 0; i < t->n_cells; i++) {
        size_t width = text_width(t->cells[i]);
        if (width > widths[i % t->n_columns])
            widths[i % t->n_columns] = width;
    }

    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t column = i % t->n_columns;
        bool last = column + 1 == t->n_columns;
        if (column == 0)
            fprintf(out, "%*s", (int) indent, "");
        fputs(t->cells[i], out);
        if (last)
            fputc('\n', out);
        else
            fprintf(out, "%*s", (int) (widths[column] - text_width(t->cells[i]) + 2), "");
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
