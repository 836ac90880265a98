/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/health-trial.h"

HealthTrial health_trial_new(const HealthRules *rules, usec_t started)
{
    usec_t first = rules->start_period > rules->interval ? rules->start_period : rules->interval;

    return (HealthTrial) { .next = started + first, .limit = started + HEALTH_WAIT_MAX_USEC };
}

bool health_trial_failed(HealthTrial *t, const HealthRules *rules, usec_t begun, usec_t ended)
{
    if (begun >= t->next) {
        t->failures++;
        t->next = ended + rules->interval;
    }
    return t->failures >= rules->retries || ended >= t->limit;
}
