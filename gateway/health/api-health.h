/* SPDX-License-Identifier: MIT */
/* GET /v1/devices/ID/health, and GET /metrics. */
#pragma once

#include "gateway/health/device-health.h"
#include "gateway/http/request.h"

typedef struct HealthApi {
    DeviceHealth *health;
    const DeviceConns *conns;
    const DeviceRegistry *registry;
    const char *metrics_token; /* NULL: there are no metrics */
} HealthApi;

/* A module is a HealthApi. */
extern const Route health_routes[];
