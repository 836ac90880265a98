/* SPDX-License-Identifier: MIT */
/* Replaces what changes. */
#pragma once

#include "mgmt-agent/worker/phases/prove.h"

/* What carries a plan out, and what is written down of it. */
typedef struct ApplyContext {
    Box *box;
    DeployTarget *target;
    const DeployPast *before;
    const Plan *plan;
    DeployProof *proof; /* of services that others wait for */
    Report *report;
    Journal *journal;
    unsigned parallel; /* containers that are made at the same time */
} ApplyContext;

int deploy_apply(const ApplyContext *a, Error *err) _must_check_;
