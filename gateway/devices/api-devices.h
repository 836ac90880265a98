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

/* Between making and showing it. */
typedef struct NewSecret {
    char *secret;
    char hash[SECRET_HASH_SIZE];
} NewSecret;

/* Makes one and keeps it as the request's scratch, a NewSecret. */
int request_make_secret(Request *c, const char *prefix) _must_check_;
/* Checks the member "labels" of a body; *ret is the JSON of an object. device.bad-labels */
int device_labels_read(const cJSON *body, char **ret, Error *err) _must_check_;
/* The row's JSON object with what only memory knows. NULL when out of memory. */
cJSON *device_json(const DevicesApi *api, const StoreRows *rows, size_t row);

extern const Route device_routes[]; /* of the DevicesApi */
