/* SPDX-License-Identifier: MIT */
/* The client of a rathole server: one control connection, kept for as long as this lives, and the data connections that it asks
 * for. */
#pragma once

#include <systemd/sd-event.h>

#include "relay-client/report/relay-report.h"
#include "relay-client/settings/relay-settings.h"

typedef struct Rathole Rathole;

/* Both are borrowed. Begins to connect. Errors: stream.tls-files. */
int rathole_new(sd_event *event, const RelaySettings *settings, RelayReport *report, Rathole **ret,
                Error *err) _must_check_;
Rathole *rathole_free(Rathole *r);
