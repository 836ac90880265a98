/* SPDX-License-Identifier: MIT */
/* One data connection to a rathole server: waits in its pool for a visitor, then copies between it and the target, both ways, with
 * backpressure and half-closes. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/data/relay-state.h"
#include "lib/net/stream.h"
#include "relay-client/rathole/rathole-frame.h"

typedef struct DataChannel DataChannel;

#define DATA_CHANNEL_NO_TARGET "relay.no-target" /* the id of the only failure that this box can mend */

typedef enum DataChannelState {
    DATA_CHANNEL_DIALING, /* to the server */
    DATA_CHANNEL_POOLED,
    DATA_CHANNEL_ANSWERING, /* a visitor is there, and the target is dialed */
    DATA_CHANNEL_COPYING,
} DataChannelState;

/* Each may free the channel. */
typedef struct DataChannelEvents {
    void (*on_state)(DataChannel *c, void *userdata); /* it has another one */
    /* Once, last, in which state it was when it ended; r = 0: in good order. Then it has to be freed. */
    void (*on_done)(DataChannel *c, int r, const Error *err, void *userdata);
} DataChannelEvents;

typedef struct DataChannelOptions {
    StreamTarget server, target;
    const uint8_t *key;
    RelayState *counts; /* borrowed, for as long as the channel is there */
    const DataChannelEvents *events;
    void *userdata;
} DataChannelOptions;

int data_channel_new(sd_event *event, const DataChannelOptions *options, DataChannel **ret, Error *err) _must_check_;
/* NULL-safe; allowed in the callbacks. */
DataChannel *data_channel_free(DataChannel *c);

DataChannelState data_channel_state(const DataChannel *c);
/* CLOCK_BOOTTIME of its last change of state, or byte. */
usec_t data_channel_moved_at(const DataChannel *c);
/* The target's address once it is copying: see stream_peer(). */
const char *data_channel_target(const DataChannel *c);
