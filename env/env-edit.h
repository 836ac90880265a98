/* SPDX-License-Identifier: MIT */
/* Changes keys of an env file's text and leaves every other line, comments included, as it is. Pure. */
#pragma once

#include "lib/base/error.h"

typedef struct EnvChange {
    const char *key;
    const char *value; /* NULL: the key's lines are taken away */
} EnvChange;

/* A key that is there keeps its place; one that stands there twice is left once; a new one goes to the end. `changes` ends with {}.
 * The values have to be fit for the dialect already. A new string that the caller treats as secret, NULL when out of memory. */
char *env_edit(const char *text, const EnvChange *changes);
