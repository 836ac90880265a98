/* SPDX-License-Identifier: MIT */
/* GET /v1/devices/ID/health. */
#pragma once

#include "gateway/health/device-health.h"
#include "gateway/http/request.h"

typedef struct HealthApi {
    const DeviceHealth *health;
    const DeviceConns *conns;
} HealthApi;

/* A module is a HealthApi. */
extern const Route health_routes[];
