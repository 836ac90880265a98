/* SPDX-License-Identifier: MIT */
#include "lib/base/error-list.h"

#include <errno.h>
#include <stdlib.h>

int error_list_take(ErrorList *list, Error *e)
{
    Error *grown = reallocarray(list->items, list->n + 1, sizeof(*grown));

    if (!grown) {
        error_done(e);
        return -ENOMEM;
    }
    list->items = grown;
    grown[list->n++] = *e;
    *e = (Error) {};
    return 0;
}

void error_list_sort(ErrorList *list)
{
    for (size_t i = 1; i < list->n; i++) {
        Error e = list->items[i];
        size_t k = i;

        for (; k > 0 && list->items[k - 1].line > e.line; k--)
            list->items[k] = list->items[k - 1];
        list->items[k] = e;
    }
}

void error_list_done(ErrorList *list)
{
    for (size_t i = 0; i < list->n; i++)
        error_done(&list->items[i]);
    free(list->items);
    *list = (ErrorList) {};
}
