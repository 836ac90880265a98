/* SPDX-License-Identifier: MIT */
/* Which certificates boxes must not take any more, although they have not expired: those under a grant that was revoked, of a
 * token that was, and for a box that was blocked, once it comes back. Each box is told its own, over both of its ways in, and
 * which edition it has it tells itself. */
#pragma once

#include "gateway/devices/device-connection.h"

typedef struct Revocations Revocations;

/* Listens. NULL when out of memory; what is given is borrowed. */
Revocations *revocations_new(Store *store, DeviceConns *conns);
/* NULL-safe. */
Revocations *revocations_free(Revocations *rs);

/* Of rows of sql_revocations() and sql_revocations_known(): tells those boxes that are there. 0 or negative. */
int revocations_adopt(Revocations *rs, const StoreRows *rows) _must_check_;

/* Finds out whether there are others now. At once where somebody has revoked something, and now and then. */
void revocations_sweep(Revocations *rs);
