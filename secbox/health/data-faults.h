/* SPDX-License-Identifier: MIT */
/* Which of secbox's values somebody should know of. Pure. */
#pragma once

#include "lib/data/json.h"

/* A new object as host_faults() of mgmt-agent makes it: "database.missing", "data.old", "bans.unconfirmed", "queue.dead",
 * "lan.down", "certificate.ends", "cameras.frigate", "cameras.offline", "cameras.unheard", "cameras.entry", "cameras.faces",
 * each with a
 * sentence; old_seconds: from what age on data are old. NULL when out of memory. */
cJSON *data_faults(const cJSON *values, uint64_t old_seconds);
