/* SPDX-License-Identifier: MIT */
/* Who is next where more wait than can be served at once: those whose time came first. So all have their turn, however many there
 * are, and nobody comes sooner by their place in a table. */
#pragma once

#include <stddef.h>

#include "lib/base/clock.h"

#define TURNS_MAX 32

typedef struct Turns {
    size_t n;
    struct Turn {
        void *item; /* borrowed */
        usec_t due;
    } next[TURNS_MAX]; /* who is first comes first; of equals, who was named first */
} Turns;

/* Names one that waits; `places`: so many are served in this round, at most TURNS_MAX. Pure. */
void turns_add(Turns *t, size_t places, void *item, usec_t due);
