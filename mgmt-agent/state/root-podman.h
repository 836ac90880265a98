/* SPDX-License-Identifier: MIT */
/* Agents of an earlier time took root's podman where there was no other user. What they made there must go on. */
#pragma once

#include <stdbool.h>

/* Whether a container of what is deployed here, or waits to be confirmed, is in root's podman: by our own record, and by the
 * container's folder, which belongs to whoever runs it. No child, no wait. */
bool root_podman_is_used(void);
