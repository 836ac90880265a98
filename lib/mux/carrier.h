/* SPDX-License-Identifier: MIT */
/* Drives a Mux over the WebSocket connections that carry it, one after the other: pulls a frame when the socket can take
 * one (TCP_NOTSENT_LOWAT, so that little is committed below the scheduler), turns its clock, measures the round trip and
 * watches the connection more closely while streams are open. Box, gateway and operator all use it. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/mux/mux.h"
#include "lib/websocket/connection.h"

typedef struct MuxCarrier MuxCarrier;

typedef struct MuxCarrierOptions {
    MuxSide side;
    size_t session_max;
    /* Like MuxEvents.on_open. */
    void (*on_open)(Mux *m, MuxStream *s, const cJSON *open, void *userdata);
    /* No connection, and the mux is idle (mux.h): the owner may free the carrier, here or later. May be NULL. */
    void (*on_idle)(MuxCarrier *c, void *userdata);
    void *userdata;
} MuxCarrierOptions;

int mux_carrier_new(sd_event *event, const MuxCarrierOptions *options, MuxCarrier **ret) _must_check_;
/* Frees the Mux, too; calls nothing. NULL-safe. */
MuxCarrier *mux_carrier_free(MuxCarrier *c);
DEFINE_CLEANUP(MuxCarrier, mux_carrier_free)

Mux *mux_carrier_mux(MuxCarrier *c);

/* The connection is up (after welcome). It is borrowed until mux_carrier_detach(). */
void mux_carrier_attach(MuxCarrier *c, WsConn *ws);
void mux_carrier_detach(MuxCarrier *c);
/* From the owner's WsEvents. A frame that breaks the protocol closes the connection with 1002. */
void mux_carrier_on_binary(MuxCarrier *c, const uint8_t *data, size_t len);
void mux_carrier_on_writable(MuxCarrier *c);
