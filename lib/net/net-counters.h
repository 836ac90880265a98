/* SPDX-License-Identifier: MIT */
/* What has gone over the network since the boot, as /proc/net/dev has it. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "lib/base/mem.h"

typedef struct NetCounters {
    uint64_t received, sent; /* bytes */
    uint64_t errors;         /* packets that were damaged or lost, either way */
} NetCounters;

/* The sum of all interfaces but the loopback; `hardware`: only those whose name says that they are cards, since what a bridge passes
 * on would count twice. -EINVAL when it is not such a text, or it has none of them. */
int net_counters_parse(const char *text, bool hardware, NetCounters *ret) _must_check_;
/* {"receivedMiB", "sentMiB", "errors"} as a member of `o`. */
int net_counters_describe(const NetCounters *c, cJSON *o, const char *key) _must_check_;
