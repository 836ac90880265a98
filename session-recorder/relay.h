/* SPDX-License-Identifier: MIT */
/* One direction of a session: what was read is written before more is read, so that who is slow holds up who is fast. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Relay {
    int from,
        to; /* not blocking; -1: that side has ended. `to` may be -1 from the beginning: then what comes is dropped */
    bool drops;
    char data[16384];
    size_t len, at;
} Relay;

/* What poll(2) is to wait for: two entries. */
void relay_poll(const Relay *r, struct pollfd ret[static 2]);
/* Reads: 1: there is something new in data[0..len]; 0: nothing yet; -ENODATA: the end; a negative errno. */
int relay_read(Relay *r);
/* Writes what there is: 0, or a negative errno when nobody takes it. */
int relay_write(Relay *r);
bool relay_is_empty(const Relay *r);
