/* SPDX-License-Identifier: MIT */
/* What recovery-agent has to know, from KEY=VALUE text, and the copy of it that worked last: the files on the box may be
 * damaged later. The parser is small and judges only the keys that it knows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

typedef struct Config {
    /* owned */
    char *device_id, *bootstrap, *gateway_url, *mgmt_url, *ca_file;
    char *heartbeat, *service, *probes;
    uint64_t ssh_port;
    uint64_t interval, probe_timeout, failures, good, grace, stale, offline, close_after; /* seconds, or rounds */
    uint64_t act, restart_after, recreate_after, reboot, reboot_after;
} Config;

typedef struct Setting {
    const char *key;
    size_t offset;        /* in Config: a char *, or a uint64_t where there is a max */
    const char *fallback; /* NULL = unset */
    uint64_t min, max;
} Setting;

extern const Setting settings[]; /* ends with {}; the man page and the example name each of them */

/* All at their defaults. -ENOMEM. */
int config_init(Config *ret) _must_check_;
void config_done(Config *c);

/* Takes the known keys out of a text: NAME=VALUE lines, blank lines, lines that start with #; all other lines are passed
 * over, for they may be someone else's. Pure. config.value (file, line, key; never the value), config.duplicate. */
int config_parse(Config *c, const char *text, size_t len, const char *file, Error *err) _must_check_;

/* What has to be there is there and fits together; makes gateway_url of mgmt_url when it is not set. config.missing. */
int config_check(Config *c, Error *err) _must_check_;

/* The text that config_parse() reads back: a secret. A new string, NULL when out of memory. */
char *config_print(const Config *c);
