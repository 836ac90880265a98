/* SPDX-License-Identifier: MIT */
/* One stream of target "recording" in a box's device tunnel (docs/wire-format.md, "Recordings"): asks for it, tells what the answer
 * is, and hands over its bytes at the pace of whoever takes them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/devices/device-connection.h"

typedef struct RecordingFlow RecordingFlow;

typedef struct RecordingAsk {
    const char *device, *person, *camera;
    const char *event;    /* by its id in Frigate: the clip of it; NULL: */
    uint64_t from, until; /* seconds since 1970, and … */
    const char *file;     /* … a file of what was recorded then */
    const char *range;    /* a Range header, or NULL */
} RecordingAsk;

typedef struct RecordingHead {
    int status;                               /* 200, 206 */
    const char *content_type, *content_range; /* the second may be NULL */
    bool has_length, ranges;
    uint64_t length;
} RecordingHead;

typedef struct RecordingFlowEvents {
    /* Once, first. */
    void (*on_head)(RecordingFlow *f, const RecordingHead *head, void *userdata);
    /* Taken bytes are told by recording_flow_taken(). */
    void (*on_data)(RecordingFlow *f, const uint8_t *data, size_t len, void *userdata);
    /* Once, last; the flow is freed afterwards. r is 0 when that was all; else negative, and err says what is wrong: camera.*,
     * media.* as the box says, camera.unsupported, camera.bad-answer, camera.ended, device.offline. */
    void (*on_end)(RecordingFlow *f, int r, const Error *err, void *userdata);
} RecordingFlowEvents;

/* device.offline, camera.unsupported, camera.busy. */
int recording_flow_open(DeviceConns *conns, const RecordingAsk *ask, const RecordingFlowEvents *events, void *userdata,
                        RecordingFlow **ret, Error *err) _must_check_;
/* NULL-safe; allowed in every callback. on_end is not called. */
RecordingFlow *recording_flow_free(RecordingFlow *f);

void recording_flow_taken(RecordingFlow *f, size_t len);
