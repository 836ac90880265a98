/* SPDX-License-Identifier: MIT */
/* Where a driver says how it is: into the state file and the log, and on a socket in OpenMetrics. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/data/relay-state.h"

#define RELAY_METRICS_NAME "metrics.sock"

typedef struct RelayReport RelayReport;

/* Makes the folder; from then on the state file is written at each change, and every few seconds, until it is taken away with the
 * report. `public_url` may be NULL. */
int relay_report_new(sd_event *event, const char *run_dir, const char *provider, const char *public_url,
                     RelayReport **ret, Error *err) _must_check_;
RelayReport *relay_report_free(RelayReport *r);
DEFINE_CLEANUP(RelayReport, relay_report_free)

/* `err` says why it is not better, NULL: nothing to say. Logged when condition or reason is another than before; leaving
 * RELAY_CONNECTED counts as a reconnect. */
void relay_report_set(RelayReport *r, RelayCondition condition, const Error *err, int code);
void relay_report_set_public_url(RelayReport *r, const char *url);
/* The driver counts here; borrowed. */
RelayState *relay_report_counts(RelayReport *r);
