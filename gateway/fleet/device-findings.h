/* SPDX-License-Identifier: MIT */
/* What the gateway itself knows of a box, as findings: also when the box is away. Pure. */
#pragma once

#include "lib/data/json.h"

/* The checks of `device`, as GET /v1/devices/ID has it; `id` is what the operator calls it, and stands in the commands. `answer` is
 * that of POST …/doctor, NULL when the box was not asked. Not counted yet; NULL when out of memory. */
cJSON *device_findings(const char *id, const cJSON *device, const cJSON *answer);
