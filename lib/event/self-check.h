/* SPDX-License-Identifier: MIT */
/* Small copies of the work that daemons do, for answering a watchdog: a process can be alive and yet unable to work. */
#pragma once

#include <stdbool.h>

/* A byte through a connection on 127.0.0.1, made and ended here: descriptors, memory and the kernel's network are there. */
typedef struct Loopback {
    enum { LOOPBACK_IDLE, LOOPBACK_ACCEPT, LOOPBACK_SEND, LOOPBACK_RECEIVE } step;
    int listener, out, in; /* meaningful from LOOPBACK_ACCEPT on */
} Loopback;

/* Goes as far as it can without waiting: 0 when the byte has come, usually at once; -EAGAIN when the kernel has not done its
 * part yet, and the next call goes on; another negative errno when it does not work. Starts from `= {}`. */
int loopback_go_on(Loopback *l);
void loopback_done(Loopback *l);

/* For a `healthy` function; never waits. 1 as long as the byte arrives between one call and the next, and also when it
 * has never arrived: where it cannot, ending the process would mend nothing. */
typedef struct Alive {
    Loopback loopback;
    bool loopback_worked;
} Alive;
int alive_still(Alive *a);
