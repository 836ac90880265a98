/* SPDX-License-Identifier: MIT */
/* What the gateway does for recovery-agent: it tries the box's other tunnels from the far end, and remembers what
 * recovery-agent says of itself. */
#pragma once

#include "gateway/devices/device-connection.h"

typedef struct RecoveryReports RecoveryReports;

/* Listens: to probe.request, on which `probe` goes down the box's device and management tunnels, and what came back within
 * 3 s is told as probe.result (one at a time for each box; a new one takes the place of the one before); to
 * recovery.status; and to recovery.reconnect, on which the box's device tunnel is closed. NULL when out of memory. */
RecoveryReports *recovery_reports_new(sd_event *event, Store *store, DeviceConns *conns);
/* NULL-safe. */
RecoveryReports *recovery_reports_free(RecoveryReports *rr);
