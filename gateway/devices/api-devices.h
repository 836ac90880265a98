/* SPDX-License-Identifier: MIT */
/* Routes about devices: list, add, show, relabel, remove, a new bootstrap token, block and unblock. */
#pragma once

#include "gateway/devices/device-connection.h"
#include "gateway/http/request.h"

typedef struct DevicesApi {
    DeviceConns *conns;
    DeviceRegistry *registry;
    Store *store;
    unsigned bootstrap_hours; /* life of a bootstrap token */
    const char *issuer;       /* under which boxes reach this gateway; NULL when it does not know */
} DevicesApi;

extern const Route device_routes[]; /* of the DevicesApi */
