/* SPDX-License-Identifier: MIT */
/* Small copies of the work that daemons do, for those who answer a watchdog: a process can be alive and yet unable. */
#pragma once

#include <stdbool.h>

/* A byte through a connection on 127.0.0.1, made and ended here: descriptors, memory and the kernel's network are there. Takes at
 * most a second, usually 0.1 ms. Negative errno when it does not work. */
int alive_loopback(void);

/* For a `healthy` function: 1 as long as alive_loopback() works, or never has: where it cannot, an end mends nothing. */
typedef struct Alive {
    bool loopback_worked;
} Alive;
int alive_still(Alive *a);

/* Writes a few bytes to a file durably, in place. -ENOSPC, -EROFS, -EIO are the disk's faults, not the process's. */
int alive_scratch(const char *path);
