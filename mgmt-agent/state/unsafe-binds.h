/* SPDX-License-Identifier: MIT */
/* Mounts of running containers that could not be asked for now, since another container could change where they lead. The
 * worker finds them, the agent tells them. */
#pragma once

#include "lib/data/json.h"

/* Array of {"service", "source", "problem"}; empty when there are none or nothing is known. NULL when out of memory. */
cJSON *unsafe_binds_load(void);
int unsafe_binds_save(const cJSON *list, Error *err) _must_check_;
