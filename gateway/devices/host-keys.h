/* SPDX-License-Identifier: MIT */
/* The host keys of boxes' sshds, as the boxes tell them: those of the machine's sshd in agent.status, that of the recovery sshd in
 * recovery.status. Kept in the database, so that nobody has to believe a key on first sight. Other keys than before are the alarm
 * `device.host-keys`. */
#pragma once

#include "gateway/devices/device-connection.h"

#define HOST_KEYS_MAX 4 /* of one sshd */

typedef struct HostKeys HostKeys;

/* Listens. NULL when out of memory; what is given is borrowed. */
HostKeys *host_keys_new(Store *store, DeviceConns *conns);
/* NULL-safe. */
HostKeys *host_keys_free(HostKeys *h);

/* Tries again what the database has not taken yet. Now and then. */
void host_keys_sweep(HostKeys *h);

/* What the database has of a device: sql_devices_known(). 0 or -ENOMEM. */
int host_keys_adopt(HostKeys *h, const char *device, const char *json) _must_check_;

/* Those of the sshd to which this role's tunnel leads: an array of "TYPE BASE64", or NULL where nothing is known. Borrowed. */
const cJSON *host_keys_of(const HostKeys *h, const char *device, Role role);
