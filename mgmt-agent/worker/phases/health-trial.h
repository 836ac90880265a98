/* SPDX-License-Identifier: MIT */
/* When a health check that fails makes a container unhealthy. Pure. The check may be run as often as one likes, since a
 * success at any moment proves the container, but failures count only as often as the check itself asks for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"

/* below what a worker and its podman are given */
#define HEALTH_WAIT_MAX_USEC (4 * USEC_PER_HOUR)

typedef struct HealthRules {
    usec_t interval, timeout, start_period;
    int64_t retries; /* failures in a row that make it unhealthy */
} HealthRules;

typedef struct HealthTrial {
    usec_t next;  /* a check that begins before this does not count when it fails */
    usec_t limit; /* no trial lasts longer, whatever the check asks for */
    int64_t failures;
} HealthTrial;

/* `started`: when the container was. */
HealthTrial health_trial_new(const HealthRules *rules, usec_t started);
/* The check that ran from `begun` to `ended` failed. True when the container is unhealthy. */
bool health_trial_failed(HealthTrial *t, const HealthRules *rules, usec_t begun, usec_t ended);
