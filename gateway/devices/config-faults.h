/* SPDX-License-Identifier: MIT */
/* What the programs of a box cannot take of its configuration, as mgmt-agent tells it. */
#pragma once

#include "gateway/devices/device-connection.h"

typedef struct ConfigFaults ConfigFaults;

/* Listens: each fault that agent.status names is one alarm `config.fault`, and its end one `config.well`. Adds "configFaults"
 * to a device that has some. NULL when out of memory. */
ConfigFaults *config_faults_new(Store *store, DeviceConns *conns);
/* NULL-safe. */
ConfigFaults *config_faults_free(ConfigFaults *c);

/* The alarm of a program beside the gateway: nobody may be looking at its journal. */
void config_faults_raise(Store *store, const char *program, const Error *err, int r);

/* Pure. The part of `said` (an array as a box says it, or NULL) that is kept and shown: objects with "program", "since" and
 * "error", at most 8. A new array; NULL when out of memory. */
cJSON *config_faults_kept(const cJSON *said);
/* Pure. Whether `faults` holds one of this program with this beginning. */
bool config_faults_hold(const cJSON *faults, const cJSON *fault);
