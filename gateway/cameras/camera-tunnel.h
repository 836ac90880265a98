/* SPDX-License-Identifier: MIT */
/* What streams of cameras and of recordings in a box's device tunnel have in common (docs/wire-format.md, "Cameras",
 * "Recordings"): how one is opened, the lengths in it, and what the box says is wrong. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/devices/device-connection.h"

#define CAMERA_LENGTH_SIZE 4

/* The tunnel of a box's secbox. device.offline; camera.unsupported: it is too old for `what` ("cameras"). */
int camera_tunnel_find(DeviceConns *conns, const char *device, const char *what, DeviceConn **ret,
                       Error *err) _must_check_;
/* Opens a stream with these members; the gateway has nothing more to say in it. camera.busy, -ENOMEM. */
int camera_tunnel_open(DeviceConn *conn, const cJSON *members, const MuxStreamEvents *events, void *userdata,
                       MuxStream **ret, Error *err) _must_check_;
/* For events: nothing is written. */
void camera_tunnel_on_room(MuxStream *s, void *userdata);

/* The number in CAMERA_LENGTH_SIZE bytes, the most significant one first. */
size_t camera_tunnel_length(const void *at);
/* What the box says is wrong, {"id", "message"}, as a negative errno whose HTTP status is that of the id. */
int camera_tunnel_error(const cJSON *error, Error *err);
/* The same of why it has reset a stream. */
int camera_tunnel_reason(const char *reason, const char *what, Error *err);
