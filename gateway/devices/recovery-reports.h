/* SPDX-License-Identifier: MIT */
/* What the gateway does for recovery-agent: it tries the box's other tunnels from the far end, and remembers what
 * recovery-agent says of itself. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/devices/device-connection.h"

/* probe.request: `probe` goes down the box's device and management tunnels; what came back within 3 s is told as
 * probe.result. One at a time for each box; a new one takes the place of the one before. */
void recovery_on_probe_request(DeviceConn *s, Gateway *g, const cJSON *message);
void recovery_on_probe_answer(DeviceConn *s, Gateway *g, const cJSON *message);
/* recovery.status */
void recovery_on_status(DeviceConn *s, Gateway *g, const cJSON *message);
/* recovery.reconnect: the box's device tunnel is closed. */
void recovery_on_reconnect(DeviceConn *s, Gateway *g, const cJSON *message);

/* Adds "recovery" about a device, if it has ever said anything since the gateway's start. */
int recovery_describe(const Gateway *g, const char *device, cJSON *object) _must_check_;

/* For the end of the program, and for Gateway's map. */
void recovery_free(void *recovery);
