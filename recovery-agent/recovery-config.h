/* SPDX-License-Identifier: MIT */
/* What recovery-agent has to know. The text is read by lib/base/settings.h, since recovery-agent must start even with
 * damaged files. */
#pragma once

#include "lib/base/settings.h"

typedef struct Config {
    /* owned */
    char *device_id, *bootstrap, *gateway_url, *mgmt_url, *ca_file;
    char *heartbeat, *service, *probes;
    uint64_t ssh_port;
    uint64_t interval, probe_timeout, failures, good, grace, stale, offline, close_after,
        try_other; /* seconds, or rounds */
    uint64_t act, restart_after, recreate_after, reboot, reboot_after;
} Config;

extern const Setting settings[]; /* ends with {}; the man page and the example name each of them */

void config_done(Config *c);

/* Checks that what is required is there and fits together; derives gateway_url from mgmt_url when it is not set.
 * config.missing, config.value. */
int config_check(Config *c, Error *err) _must_check_;
