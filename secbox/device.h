/* SPDX-License-Identifier: MIT */
/* The device tunnel of this box. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "secbox/data-plane.h"
#include "secbox/secbox-config.h"

typedef struct Device Device;

/* Checks and connects from the loop; `config` and `data`, which the tunnel serves, are borrowed. A configuration that is
 * wrong fails here. */
int device_new(sd_event *event, const Config *config, DataPlane *data, Device **ret, Error *err) _must_check_;
/* For watchdog and heartbeat: the tunnel is as far as it should be by now, and sockets, which it depends on, work. */
int device_is_alive(void *device);
Device *device_free(Device *d);
DEFINE_CLEANUP(Device, device_free)
