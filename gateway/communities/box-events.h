/* SPDX-License-Identifier: MIT */
/* What boxes report of their gates, from their queues: stored exactly once, then confirmed. */
#pragma once

#include "gateway/devices/device-connection.h"
#include "gateway/http/request.h"

typedef struct BoxEvents BoxEvents;

/* Whoever wants to know at once that a community has new events. */
typedef struct BoxEventsListener {
    void (*on_stored)(const char *community, void *userdata);
    void *userdata;
} BoxEventsListener;

/* NULL when out of memory. What is given is borrowed. */
BoxEvents *box_events_new(Store *store, Requests *requests, DeviceConns *conns, const BoxEventsListener *listener);
BoxEvents *box_events_free(BoxEvents *be);
/* Boxes whose events could not be stored come again. Now and then. */
void box_events_sweep(BoxEvents *be);

extern const Route box_event_routes[]; /* of a BoxEvents */
