/* SPDX-License-Identifier: MIT */
/* The keys of boxes' other roles, as their management keys name them (keys.vouch; lib/tunnel/voucher.h): each is in the audit
 * log as `device.keys-vouched`, an alarm where another key had the role, which ends. What may be claimed by that is in the
 * registry. */
#pragma once

#include "gateway/devices/device-connection.h"

typedef struct Vouchers Vouchers;

/* What is given is borrowed. NULL when out of memory. */
Vouchers *vouchers_new(Store *store, DeviceRegistry *registry, DeviceConns *conns);
/* NULL-safe. */
Vouchers *vouchers_free(Vouchers *v);

/* Now and then: what the database had no room for is written. */
void vouchers_sweep(Vouchers *v);
/* What the database has: an object of thumbprints by role; NULL: the box's agent has never named any. */
int vouchers_adopt(DeviceRegistry *registry, const char *device, const char *json) _must_check_;
