/* SPDX-License-Identifier: MIT */
/* What has been written down lately, so that it is not written down with each piece of the same thing. Pure: `now` is a parameter,
 * in microseconds of a clock that does not run backwards. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

typedef struct Lately Lately;

/* NULL when out of memory. */
Lately *lately_new(usec_t how_long);
Lately *lately_free(Lately *l);
DEFINE_CLEANUP(Lately, lately_free)

/* Whether this is to be written down: it has not been for so long. It counts as written from now on. Where there is no room to
 * remember it, it is written each time. */
bool lately_is_news(Lately *l, const char *what, usec_t now);
