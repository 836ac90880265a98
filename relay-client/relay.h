/* SPDX-License-Identifier: MIT */
/* One driver, by what the settings say, until the loop ends. */
#pragma once

#include <systemd/sd-event.h>

#include "relay-client/report/relay-report.h"
#include "relay-client/settings/relay-settings.h"

typedef struct Relay Relay;

/* `settings` is borrowed. */
int relay_new(sd_event *event, const RelaySettings *settings, const char *run_dir, Relay **ret,
              Error *err) _must_check_;
/* What runs is told to end; the loop has to turn until it says that it has, or until its grace is over. False: nothing has to be
 * waited for. */
bool relay_stop(Relay *r);
Relay *relay_free(Relay *r);
DEFINE_CLEANUP(Relay, relay_free)
