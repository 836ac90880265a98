/* SPDX-License-Identifier: MIT */
/* Cameras through the tunnel: streams of target "camera" (docs/wire-format.md, "Cameras"), which the gateway opens. Each carries
 * pictures one behind the other, and loses those for which there is no room: in the tunnel, or below the bound of the uplink. */
#pragma once

#include <cjson/cJSON.h>
#include <systemd/sd-event.h>

#include "lib/mux/mux.h"
#include "secbox/cameras/cameras.h"

#define CAMERA_TARGET "camera"
/* Before each picture, or text, its length in bytes, in network order. */
#define CAMERA_LENGTH_SIZE 4

typedef struct CameraStreams CameraStreams;

/* `cameras` is borrowed; NULL: this box has no Frigate. kbit: the bound of all streams together, kilobits a second. NULL when out
 * of memory. */
CameraStreams *camera_streams_new(sd_event *event, Cameras *cameras, unsigned kbit);
/* Ends all: before the mux and the cameras are freed. NULL-safe. */
CameraStreams *camera_streams_free(CameraStreams *cs);

/* Takes or refuses what MuxEvents.on_open hands over. */
void camera_streams_open(CameraStreams *cs, MuxStream *s, const cJSON *open);
