/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* Whether the data plane runs, or is to run, without containers: the package secbox is here, and its unit is switched on, or there
 * is no podman. */
bool box_is_without_containers(void);
