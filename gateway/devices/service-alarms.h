/* SPDX-License-Identifier: MIT */
/* What boxes say of services that are not well, as entries of the audit log: service.down, an alarm, and service.well when that is
 * over. Each is written once, whoever restarts in between. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/postgres/store.h"

/* Of an agent.status. 0, or negative when it has to be told again. on_done is told of each entry, as by audit_write_once(). */
int service_alarms_take(Store *store, const char *device, const cJSON *status, store_done_t on_done,
                        void *userdata) _must_check_;
