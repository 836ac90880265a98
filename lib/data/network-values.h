/* SPDX-License-Identifier: MIT */
/* What has gone over the network since the boot, as /proc/net/dev has it. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "lib/base/mem.h"

typedef struct NetworkValues {
    uint64_t received, sent; /* bytes */
    uint64_t errors;         /* packets that were damaged or lost, either way */
} NetworkValues;

/* The sum of all interfaces but the loopback; `hardware`: only of those that are cards by their names, since what a bridge passes
 * on would count twice. -EINVAL when it is not such a text, or has none of them. */
int network_values_parse(const char *text, bool hardware, NetworkValues *ret) _must_check_;
/* {"receivedMiB", "sentMiB", "errors"} as a member of `o`. */
int network_values_describe(const NetworkValues *c, cJSON *o, const char *key) _must_check_;
