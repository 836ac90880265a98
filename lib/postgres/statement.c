/* SPDX-License-Identifier: MIT */
/* See statement.h. */
#include "lib/postgres/statement.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_SIZE 24

static size_t param_size(const StatementParam *p)
{
    return p->is_number ? NUMBER_SIZE : p->text ? strlen(p->text) + 1 : 0;
}

char **statement_params(const Statement *st)
{
    size_t size = sizeof(char *);
    for (size_t i = 0; i < st->n; i++)
        size += sizeof(char *) + param_size(&st->params[i]);
    char **block = malloc(size);
    if (!block)
        return NULL;
    char *text = (char *) (block + st->n);
    for (size_t i = 0; i < st->n; i++) {
        const StatementParam *p = &st->params[i];
        size_t len = param_size(p);
        block[i] = len > 0 ? text : NULL;
        if (p->is_number)
            (void) snprintf(text, len, "%" PRId64, p->number);
        else if (p->text)
            memcpy(text, p->text, len);
        text += len;
    }
    return block;
}
