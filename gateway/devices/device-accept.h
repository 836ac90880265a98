/* SPDX-License-Identifier: MIT */
/* How a box's tunnel begins: who may open one, hello within its deadline, welcome. */
#pragma once

#include "gateway/auth/audit-head.h"
#include "gateway/devices/admission.h"
#include "gateway/devices/claim-key.h"
#include "gateway/devices/device-connection.h"
#include "lib/http/server.h"

typedef struct DeviceAccept DeviceAccept;

/* NULL when out of memory. What is given is borrowed; audit may be NULL. */
DeviceAccept *device_accept_new(sd_event *event, const Claims *claims, Admission *admission, AuditHead *audit);
/* Ends what has not proved its key yet. NULL-safe. */
DeviceAccept *device_accept_free(DeviceAccept *a);

/* Whether the path is a tunnel's. */
bool device_accept_path(const char *path, Role *ret);
/* Answers an upgrade request for the tunnel of this role. */
void device_accept(DeviceAccept *a, HttpExchange *x, Role role);
/* Says goaway to every box: the program ends. */
void device_accept_farewell(DeviceAccept *a);
