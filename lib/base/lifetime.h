/* SPDX-License-Identifier: MIT */
/* How an object survives its own callbacks, which may free it. It counts the dispatches that are running on it; _free()
 * silences it at once, and the last dispatch releases the memory. docs/hacking.md shows the pattern. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Zeroed to begin with. */
typedef struct Lifetime {
    uint16_t holds; /* dispatches under way */
    bool ended;     /* its owner has freed it */
} Lifetime;

/* Call before anything that may call back; release afterwards. */
static inline void lifetime_hold(Lifetime *l)
{
    l->holds++;
}

/* True: this was the last hold on an object that has ended; destroy it now. */
static inline bool lifetime_release(Lifetime *l)
{
    return --l->holds == 0 && l->ended;
}

/* The owner lets go. False: it already had. True: the object is held once more, for what _free() still has to do. */
static inline bool lifetime_end(Lifetime *l)
{
    if (l->ended)
        return false;
    l->ended = true;
    l->holds++;
    return true;
}
