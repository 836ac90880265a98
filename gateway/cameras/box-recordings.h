/* SPDX-License-Identifier: MIT */
/* Boxes' recordings for operators, through the tunnel: for boxes to which no viewer finds another way. */
#pragma once

#include "gateway/devices/device-connection.h"
#include "gateway/http/request.h"

typedef struct BoxRecordings BoxRecordings;

/* NULL when out of memory; what is given is borrowed. */
BoxRecordings *box_recordings_new(Store *store, DeviceConns *conns, const DeviceRegistry *registry);
/* After the requests were freed. NULL-safe. */
BoxRecordings *box_recordings_free(BoxRecordings *b);
/* Ends what is sent to those whose token was revoked. Now and then. */
void box_recordings_sweep(BoxRecordings *b);

extern const Route box_recording_routes[]; /* of a BoxRecordings */
