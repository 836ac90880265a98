/* SPDX-License-Identifier: MIT */
/* What smartctl(8) of smartmontools 7 says of a disk. Pure. */
#pragma once

#include "lib/data/json.h"

/* What matters of `smartctl --json -H -A`: "passed", "celsius", "powerOnHours", "usedPercent" (of its life), "spareMissingPercent",
 * "mediaErrors", "reallocatedSectors", "pendingSectors"; what the disk does not tell is absent. A new object, {} when it tells
 * nothing; NULL when out of memory. */
cJSON *smart_read(const cJSON *smartctl);
