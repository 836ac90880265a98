/* SPDX-License-Identifier: MIT */
/* One stream of target "camera" in a box's device tunnel (docs/wire-format.md, "Cameras"): asks for it, and takes the pictures out
 * of it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gateway/devices/device-connection.h"

typedef struct CameraFlow CameraFlow;

typedef struct CameraAsk {
    const char *device, *person;
    bool list;            /* which cameras there are; else: */
    const char *camera;   /* pictures of this one */
    unsigned height, fps; /* 0: as the box likes; one picture */
} CameraAsk;

typedef struct CameraFlowEvents {
    /* A picture, which is a JPEG, or the text of a list. */
    void (*on_record)(CameraFlow *f, const uint8_t *data, size_t len, void *userdata);
    /* Once, last; the flow is freed afterwards. r is 0 when the box has sent all that was asked for; else negative, and err says
     * what is wrong: camera.* as the box says, camera.unsupported, camera.bad-answer, camera.ended, device.offline. */
    void (*on_end)(CameraFlow *f, int r, const Error *err, void *userdata);
} CameraFlowEvents;

/* device.offline, camera.unsupported, camera.busy. */
int camera_flow_open(DeviceConns *conns, const CameraAsk *ask, const CameraFlowEvents *events, void *userdata,
                     CameraFlow **ret, Error *err) _must_check_;
/* NULL-safe; allowed in every callback. on_end is not called. */
CameraFlow *camera_flow_free(CameraFlow *f);

/* While held the box is given no more credit, and passes pictures over by itself. */
void camera_flow_hold(CameraFlow *f, bool held);
