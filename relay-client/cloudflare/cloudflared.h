/* SPDX-License-Identifier: MIT */
/* Runs the program cloudflared, and judges it by what it says of itself: that its process lives means nothing. */
#pragma once

#include <systemd/sd-event.h>

#include "relay-client/report/relay-report.h"
#include "relay-client/settings/relay-settings.h"

typedef struct Cloudflared Cloudflared;

/* Both are borrowed. CLOUDFLARED_BIN names another program than /usr/bin/cloudflared. Errors: relay.no-cloudflared,
 * relay.bad-token. */
int cloudflared_new(sd_event *event, const RelaySettings *settings, RelayReport *report, Cloudflared **ret,
                    Error *err) _must_check_;
/* Lets it end what its visitors have begun, for a moment; the loop ends when it is gone. False: it does not run. */
bool cloudflared_stop(Cloudflared *c);
Cloudflared *cloudflared_free(Cloudflared *c);
