/* SPDX-License-Identifier: MIT */
/* The streams in the boxes' tunnels. A box that nobody support_sessions has none of this; what there is outlives the box's
 * connection, so that a session goes on when the box comes back. */
#pragma once

#include "gateway/gateway.h"
#include "lib/mux/carrier.h"

typedef struct BoxStreams BoxStreams;

/* Those of one tunnel ("DEVICE/ROLE"), NULL when there are none. */
BoxStreams *box_streams_find(const Gateway *g, const char *tunnel);
/* The same, made when there are none; NULL when out of memory. */
BoxStreams *box_streams_make(Gateway *g, const char *tunnel);
/* Whoever holds them must not use them behind box_streams_detach(): they go when nothing is left of them. */
MuxCarrier *box_streams_carrier(BoxStreams *b);
void box_streams_detach(BoxStreams *b);

/* For the end of the program, and for Gateway's map. */
void box_streams_free(void *streams);
