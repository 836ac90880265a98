/* SPDX-License-Identifier: MIT */
/* Host folders that a box's containers mount although another container could change where they lead. */
#pragma once

#include "gateway/devices/device-connection.h"

typedef struct UnsafeBinds UnsafeBinds;

/* Listens: raises the alarm `bind.unsafe` when an agent.status names others than the one before, and not when it names them
 * again. NULL when out of memory. */
UnsafeBinds *unsafe_binds_new(Store *store, DeviceConns *conns);
/* NULL-safe. */
UnsafeBinds *unsafe_binds_free(UnsafeBinds *u);
