/* SPDX-License-Identifier: MIT */
/* Several errors, for those who want to know all of them. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

typedef struct ErrorList {
    Error *items;
    size_t n;
} ErrorList;

/* Moves what *e holds to the end of the list; *e is empty afterwards, also on failure. 0 or -ENOMEM. */
int error_list_take(ErrorList *list, Error *e) _must_check_;
/* By line; what has the same line keeps its order. */
void error_list_sort(ErrorList *list);
void error_list_done(ErrorList *list);
