/* SPDX-License-Identifier: MIT */
/* Boxes whose containers run in root's podman, which nobody chose. */
#pragma once

#include "gateway/devices/device-connection.h"

typedef struct UnnamedRoots UnnamedRoots;

/* Listens: raises the alarm `podman.unnamed-root` when an agent.status says so and the one before did not. NULL when out of
 * memory. */
UnnamedRoots *unnamed_roots_new(Store *store, DeviceConns *conns);
/* NULL-safe. */
UnnamedRoots *unnamed_roots_free(UnnamedRoots *u);
