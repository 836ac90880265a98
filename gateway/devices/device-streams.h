/* SPDX-License-Identifier: MIT */
/* The streams in the boxes' tunnels. A box that nobody logs in to has none of this; what there is outlives the box's
 * connection, so that a session goes on when the box comes back. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/map.h"
#include "lib/mux/carrier.h"

typedef struct BoxStreams BoxStreams;

/* Those of one tunnel in the map of all (DEVICE/ROLE → BoxStreams), made when there are none; NULL when out of memory. */
BoxStreams *box_streams_make(Map *all, sd_event *event, const char *tunnel);
/* Whoever holds them must not use them after box_streams_detach(): they go when nothing is left of them. */
MuxCarrier *box_streams_carrier(BoxStreams *b);
void box_streams_detach(BoxStreams *b);

/* For the map. */
void box_streams_free(void *streams);
