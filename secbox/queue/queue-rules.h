/* SPDX-License-Identifier: MIT */
/* Which events matter more than others, and what an event must be. Pure. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/error.h"

/* Sent in this order, and dropped in the opposite one when there is no room. */
typedef enum QueuePriority {
    QUEUE_ENTRIES, /* what guards register */
    QUEUE_MATCHES, /* faces, plates, and what is not known here */
    QUEUE_MOTION,
    _QUEUE_PRIORITIES,
} QueuePriority;

QueuePriority queue_priority(const char *kind);
/* queue.bad-event. */
int queue_check_event(const char *kind, const cJSON *data, Error *err) _must_check_;
