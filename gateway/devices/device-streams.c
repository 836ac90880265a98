/* SPDX-License-Identifier: MIT */
/* One carrier for each tunnel that has, or had, streams. */
#include "gateway/devices/device-streams.h"

#include <string.h>

#include "lib/base/limits.h"

struct BoxStreams {
    Map *all;
    char *tunnel;
    MuxCarrier *carrier;
};

void box_streams_free(void *streams)
{
    BoxStreams *b = streams;
    mux_carrier_free(b->carrier);
    free(b->tunnel);
    free(b);
}

static void on_idle(MuxCarrier *c _unused_, void *userdata)
{
    BoxStreams *b = userdata;
    map_take(b->all, b->tunnel);
    box_streams_free(b);
}

BoxStreams *box_streams_make(Map *all, sd_event *event, const char *tunnel)
{
    BoxStreams *b = map_get(all, tunnel);
    if (b)
        return b;
    b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    /* no on_open: a box opens no streams here */
    const MuxCarrierOptions options = {
        .side = MUX_GATEWAY,
        .session_max = MUX_SESSION_MAX_GATEWAY,
        .on_idle = on_idle,
        .userdata = b,
    };
    b->all = all;
    b->tunnel = strdup(tunnel);
    if (!b->tunnel || mux_carrier_new(event, &options, &b->carrier) < 0 || map_put(all, tunnel, b) < 0) {
        box_streams_free(b);
        return NULL;
    }
    return b;
}

MuxCarrier *box_streams_carrier(BoxStreams *b)
{
    return b->carrier;
}

void box_streams_detach(BoxStreams *b)
{
    mux_carrier_detach(b->carrier);
}
