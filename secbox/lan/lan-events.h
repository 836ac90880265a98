/* SPDX-License-Identifier: MIT */
/* Server-sent events (HTML Living Standard, 9.2) to the tablets that watch: what changed, in a word; what it is now they ask
 * for. A tablet that does not read loses its connection and comes again. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/mem.h"
#include "lib/http/server.h"

#define LAN_WATCHERS_MAX 64

typedef struct LanEvents LanEvents;

LanEvents *lan_events_new(sd_event *event);
LanEvents *lan_events_free(LanEvents *e);
DEFINE_CLEANUP(LanEvents, lan_events_free)

/* Makes a watcher of the connection and ends the exchange; where there are as many as may be, the oldest ends. -ENOTCONN: it
 * cannot be one (the exchange is still to be answered). */
int lan_events_watch(LanEvents *e, HttpExchange *x) _must_check_;
/* To all watchers: `event: NAME`, with an empty object as data. */
void lan_events_tell(LanEvents *e, const char *name);
