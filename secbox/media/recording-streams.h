/* SPDX-License-Identifier: MIT */
/* Recordings through the tunnel: streams of target "recording" (docs/wire-format.md, "Recordings"), which the gateway opens for
 * those whom it has let in. Each carries one answer: what it is, and then its bytes, below all that people do in the tunnel. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/uplink-budget.h"
#include "lib/mux/mux.h"
#include "secbox/cameras/cameras.h"

#define RECORDING_TARGET "recording"
/* Before the head, its length in bytes, in network order. */
#define RECORDING_LENGTH_SIZE 4

typedef struct RecordingStreams RecordingStreams;

/* Both are borrowed. `cameras` NULL: this box has no Frigate. NULL when out of memory. */
RecordingStreams *recording_streams_new(sd_event *event, Cameras *cameras, UplinkBudget *bound);
/* Ends all: before the mux and the cameras are freed. NULL-safe. */
RecordingStreams *recording_streams_free(RecordingStreams *rs);

/* Takes or refuses what MuxEvents.on_open hands over. */
void recording_streams_open(RecordingStreams *rs, MuxStream *s, const cJSON *open);
