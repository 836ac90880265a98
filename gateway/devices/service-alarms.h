/* SPDX-License-Identifier: MIT */
/* What boxes say of services that are not well, as entries of the audit log: service.down, an alarm, and service.well when that is
 * over. Each is written once, whoever restarts in between. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/postgres/store.h"

/* Of an agent.status. 0, or negative when it has to be told again. */
int service_alarms_take(Store *store, const char *device, const cJSON *status) _must_check_;
