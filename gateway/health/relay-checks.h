/* SPDX-License-Identifier: MIT */
/* Whether viewers come to a box by its relay, seen from outside: the gateway asks /media/ping at the public URL that the box names,
 * as a viewer's browser would, and the answer has to be that box's. The box's own word ("connected") is about its side alone. */
#pragma once

#include <systemd/sd-event.h>

#include "gateway/devices/device-connection.h"
#include "gateway/health/device-health.h"
#include "lib/base/error.h"

#define RELAY_CHECK_SECONDS_DEFAULT 600
#define RELAY_CHECK_SECONDS_MAX 86400

typedef struct RelayChecks RelayChecks;

typedef struct RelayChecksOptions {
    unsigned seconds;     /* from one check of a box to its next; sooner where one failed */
    const char *ca_file;  /* PEM of authorities beside the system's; NULL: none */
    const char *networks; /* that lie not on the Internet and may be connected to all the same; NULL: none */
} RelayChecksOptions;

/* Adds "relayCheck" to what is told of a device whose relay is connected: `url`, `state` ("waiting", "reached", "other-box",
 * "failed"), and but for the first `at`, `since` and, unless it was reached, `error`, a sentence. What is given is borrowed. */
int relay_checks_new(sd_event *event, DeviceConns *conns, const DeviceHealth *health, const RelayChecksOptions *options,
                     RelayChecks **ret, Error *err) _must_check_;
RelayChecks *relay_checks_free(RelayChecks *c);
DEFINE_CLEANUP(RelayChecks, relay_checks_free)
