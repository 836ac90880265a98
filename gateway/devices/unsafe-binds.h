/* SPDX-License-Identifier: MIT */
/* Host folders that a box's containers mount although another container could change where they lead. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/gateway.h"

/* Raises the alarm `bind.unsafe` when an agent.status names others than the one before, and not when it names them again. */
void unsafe_binds_note(Gateway *g, const char *device, const cJSON *status);
