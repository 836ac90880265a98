/* SPDX-License-Identifier: MIT */
/* Copies between one stream of a mux and one local socket, or a pair of pipes: both ways, with backpressure both ways and
 * half-close mapped to shutdown(2). */
#pragma once

#include <systemd/sd-event.h>

#include "lib/mux/mux.h"

typedef struct MuxPump MuxPump;

typedef struct MuxPumpOptions {
    int in, out; /* taken; the same descriptor for a socket. Need not be non-blocking, and may be what epoll refuses */
    /* Once, last, from the loop: both directions ended (reason NULL), or the stream was reset, or the local side broke
     * ("local.closed"). The owner frees the pump, here or later. */
    void (*on_done)(MuxPump *p, const char *reason, void *userdata);
    void *userdata;
} MuxPumpOptions;

/* Accepts the stream, or takes it over: the pump is its user from now on. */
int mux_pump_new(sd_event *event, MuxStream *s, bool accept, const MuxPumpOptions *options, MuxPump **ret) _must_check_;
/* Resets the stream with this reason if it is still alive, closes the descriptors, calls nothing. NULL-safe. */
MuxPump *mux_pump_free(MuxPump *p, const char *reason);
/* Payload bytes: into the stream, and out of it. */
void mux_pump_bytes(const MuxPump *p, uint64_t *ret_in, uint64_t *ret_out);
