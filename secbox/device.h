/* SPDX-License-Identifier: MIT */
/* The device tunnel of this box. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "secbox/config.h"

typedef struct Device Device;

/* Checks and connects from the loop; `config` is borrowed. A configuration that is wrong fails here. */
int device_new(sd_event *event, const Config *config, Device **ret, Error *err) _must_check_;
Device *device_free(Device *d);
DEFINE_CLEANUP(Device, device_free)
