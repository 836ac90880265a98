/* SPDX-License-Identifier: MIT */
/* What recovery-agent has to know. Text goes through lib/base/settings.h, since it must start with files that are damaged. */
#pragma once

#include "lib/base/settings.h"

typedef struct Config {
    /* owned */
    char *device_id, *bootstrap, *gateway_url, *mgmt_url, *ca_file;
    char *heartbeat, *service, *probes;
    uint64_t ssh_port;
    uint64_t interval, probe_timeout, failures, good, grace, stale, offline, close_after; /* seconds, or rounds */
    uint64_t act, restart_after, recreate_after, reboot, reboot_after;
} Config;

extern const Setting settings[]; /* ends with {}; the man page and the example name each of them */

void config_done(Config *c);

/* What has to be there is there and fits together; makes gateway_url of mgmt_url when it is not set. config.missing,
 * config.value. */
int config_check(Config *c, Error *err) _must_check_;
