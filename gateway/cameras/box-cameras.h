/* SPDX-License-Identifier: MIT */
/* Boxes' cameras for operators: which there are, one picture, pictures that go on. However many look at a camera in the same way,
 * it comes through the box's tunnel once. */
#pragma once

#include "gateway/devices/device-connection.h"
#include "gateway/http/request.h"

typedef struct BoxCameras BoxCameras;

/* NULL when out of memory; what is given is borrowed. */
BoxCameras *box_cameras_new(Store *store, Requests *requests, DeviceConns *conns, const DeviceRegistry *registry);
/* After the requests were freed. NULL-safe. */
BoxCameras *box_cameras_free(BoxCameras *b);
/* Ends the pictures of those whose token was revoked. Now and then. */
void box_cameras_sweep(BoxCameras *b);

extern const Route camera_routes[]; /* of a BoxCameras */
