/* SPDX-License-Identifier: MIT */
/* Devices of services: paths of the host, in which there may be colons, and names that CDI files of the box define. */
#pragma once

#include <stdbool.h>

/* "vendor.example/class=name" */
bool device_is_cdi(const char *text);

/* "HOST[:CONTAINER[:PERMISSIONS]]" or "HOST:PERMISSIONS": new strings, NULL for what is not there. A colon that no "/" and no
 * permissions follow belongs to the path. */
typedef struct DeviceParts {
    char *host, *container, *permissions;
} DeviceParts;
int device_split(const char *text, DeviceParts *ret);
void device_parts_done(DeviceParts *d);

/* The CDI names of a request for GPUs: a new strv in *ret. `count`: NULL, "all", "-1" or a number. -EINVAL: no such number;
 * -ENOTSUP: a driver other than nvidia and cdi. */
int device_name_gpus(const char *driver, const char *count, char *const *ids, char ***ret);
