/* SPDX-License-Identifier: MIT */
/* Questions that are passed on to a connected box while the operator waits. */
#pragma once

#include "gateway/http/request.h"

/* Sends `message` (its id is the call's) to the box args[0] and waits; on_answer gets the box's answer. The
 * call is answered with 503 device.offline or 504 device.timeout otherwise. */
void device_query_ask(Request *c, const cJSON *message, usec_t timeout,
              void (*on_answer)(Request *c, const char *type, const cJSON *message));

/* A box answered something: finds who waits for it. */
void device_query_answer(Gateway *g, const char *device, const char *type, const cJSON *message);
/* The box's connection ended: whoever waits for its answer is told. */
void device_query_gone(Gateway *g, const char *device);

/* "device.offline" with a sentence that fits; returns -ENOTCONN. */
int device_offline_error(const char *device, Error *err);
