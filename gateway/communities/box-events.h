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

#define EVENT_DAYS_DEFAULT 1825 /* five years */
#define EVENT_DAYS_MAX 36500
#define EVENT_DAYS_MIN 30 /* a box that has not heard that an event is stored sends it again */

/* NULL when out of memory. What is given is borrowed. days: how long events are kept. */
BoxEvents *box_events_new(Store *store, Requests *requests, DeviceConns *conns, const BoxEventsListener *listener,
                          unsigned days);
BoxEvents *box_events_free(BoxEvents *be);
/* Boxes whose events could not be stored come again, and events that are too old go. Now and then. */
void box_events_sweep(BoxEvents *be);

extern const Route box_event_routes[]; /* of a BoxEvents */
