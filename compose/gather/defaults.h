/* SPDX-License-Identifier: MIT */
/* Values of a .env file as defaults of the variables in a compose file: what the box has under that name goes before. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

typedef struct ValueSource {
    /* The value of a variable, or NULL. `ret_secret` is set to true for one that is not to be put in. */
    const char *(*lookup)(const char *name, bool *ret_secret, void *userdata);
    void *userdata;
} ValueSource;

/* ${A} becomes ${A-value}, ${A:?m} and ${A:-d} become ${A:-value}, where A has a value; all else stays as it is. A
 * secret value is not put in, and no other one stands for it: ${A:-d} becomes ${A:?MESSAGE}. A new string.
 * gather.braces for a value with braces that do not balance, since no default can hold it. */
int defaults_put_in(const char *text, const ValueSource *context, char **ret, Error *err) _must_check_;
