/* SPDX-License-Identifier: MIT */
/* How boxes are: the last values of each part of a box, and a thinned history of what matters of them. */
#pragma once

#include "lib/postgres/statement.h"

/* What is kept: one row for five minutes of the last day, one for an hour of thirty days. */
#define HEALTH_SLOT_SECONDS 300

typedef struct HealthRow {
    const char *device, *part;
    const char *at;      /* the box's time, RFC 3339; NULL: it sent none that is one */
    const char *values;  /* JSON object */
    const char *summary; /* likewise: what of it is kept in the history */
} HealthRow;

/* Nothing where the device is gone. */
Statement sql_health_save(const HealthRow *row);
/* One row when there is such a device: {"health": {PART: {…}}, "history": […]}, the latter of the last so many seconds and
 * absent for 0. */
Statement sql_health(const char *device, uint64_t since_seconds);
