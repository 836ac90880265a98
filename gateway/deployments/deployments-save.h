/* SPDX-License-Identifier: MIT */
/* Writing deployments down: events first, then the result; one statement at a time; the box's result is acknowledged only
 * after it is committed. Whatever cannot be written now stays in memory until the store is back. */
#pragma once

#include "gateway/deployments/deployment-events.h"

/* Writes the next thing that is not in the database yet, if nothing is being written. */
void deployment_save(Deployment *d);
/* Ends it without the box's word. */
void deployment_end_here(Deployment *d, int status, int code, const Error *err);
/* Writes a result of a deployment that is not open in memory, and acknowledges it. */
void deployment_save_late(Deployments *ds, const char *device, const cJSON *result);
