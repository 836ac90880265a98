/* SPDX-License-Identifier: MIT */
/* Questions that are passed on to a connected box while the operator waits. */
#pragma once

#include "gateway/devices/device-connection.h"
#include "gateway/http/request.h"

typedef struct DeviceQueries {
    Store *store;
    DeviceConns *conns;
    Requests *requests;
    const DeviceRegistry *registry;
    /* Whether the files of a question (its `bundle`, or NULL) are here; the box may then fetch them. */
    int (*offer)(const char *device, const cJSON *bundle, void *userdata, Error *err);
    void *offer_userdata;
    /* The key of its sealed secrets, wrapped for this box; NULL when it has none. */
    int (*key)(const char *device, const char *digest, char **ret, void *userdata, Error *err);
    void *key_userdata;
} DeviceQueries;

/* Listens to what boxes answer. */
int device_queries_listen(DeviceQueries *q) _must_check_;

/* Sends `message` (its id is the request's) to the box args[0], through its tunnel of that role, and waits; on_answer gets the
 * box's answer. The request is answered with 404 device.not-found, 503 device.offline or 504 device.timeout otherwise. Takes the
 * request's scratch. */
void device_query(const DeviceQueries *q, Request *c, Role role, const cJSON *message, usec_t timeout,
                  void (*on_answer)(Request *c, const char *type, const cJSON *message));
