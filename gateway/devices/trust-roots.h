/* SPDX-License-Identifier: MIT */
/* Root documents on their way to boxes. Nothing here judges them: the box does. Each box gets those that wait for it in the order
 * of their versions, the next one when it has answered; a box that was away for several of them needs each, since each is
 * signed by the keys of the one before. */
#pragma once

#include "gateway/devices/device-connection.h"
#include "gateway/http/request.h"

typedef struct TrustRoots TrustRoots;

/* Listens. NULL when out of memory. */
TrustRoots *trust_roots_new(Store *store, DeviceConns *conns);
/* NULL-safe. */
TrustRoots *trust_roots_free(TrustRoots *ts);
/* Takes what sql_trust_roots_waiting() found in the place of what it knew, and sends what can be sent. 0 or -ENOMEM. */
int trust_roots_adopt(TrustRoots *ts, const StoreRows *rows) _must_check_;

extern const Route trust_root_routes[];
