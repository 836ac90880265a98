/* SPDX-License-Identifier: MIT */
/* Support sessions: one session of a person on a box, from the stream that an operator opens to the record of its end. It
 * finds a route in, passes bytes both ways, and ends when its grant, its clock or its person says so. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/auth/backlog.h"
#include "gateway/devices/device-connection.h"
#include "gateway/devices/host-keys.h"
#include "gateway/sessions/operators.h"

typedef struct SupportSession SupportSession;
typedef struct SupportSessions SupportSessions; /* all of them */

/* Listens to the boxes: sessions end with a box's key, and when it is blocked. NULL when out of memory; what is given is
 * borrowed. */
SupportSessions *support_sessions_new(sd_event *event, Store *store, Backlog *backlog, DeviceConns *conns,
                                      const DeviceRegistry *registry, const HostKeys *host_keys);
/* NULL-safe. */
SupportSessions *support_sessions_free(SupportSessions *ss);

/* The tunnels by which operators come to them; borrowed. */
Operators *support_sessions_operators(const SupportSessions *ss);

/* End at once what is open, under a grant or at all. `id` is the stable reason and a literal, `sentence` for the person. */
void support_sessions_end_grant(SupportSessions *ss, const char *grant, const char *id, const char *sentence);
void support_sessions_end_all(SupportSessions *ss, const char *id, const char *sentence);

/* Writes what waits to be written, and looks for grants and tokens that somebody else has withdrawn: what they opened ends. */
void support_sessions_sweep(SupportSessions *ss);
