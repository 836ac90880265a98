/* SPDX-License-Identifier: MIT */
/* GET /metrics, for whoever shows the METRICS_TOKEN of the gateway's environment. */
#pragma once

#include "gateway/health/device-health.h"
#include "gateway/http/request.h"

#define METRICS_TOKEN_VARIABLE "METRICS_TOKEN"

typedef struct MetricsApi {
    const DeviceHealth *health;
    const DeviceConns *conns;
    const DeviceRegistry *registry;
    char token_hash[SECRET_HASH_SIZE]; /* "": there are no metrics */
} MetricsApi;

/* `token` may be NULL: none. config.metrics-token when it is too short to be a secret. */
int metrics_api_set_token(MetricsApi *api, const char *token, Error *err) _must_check_;

/* A module is a MetricsApi. */
extern const Route metrics_routes[];
