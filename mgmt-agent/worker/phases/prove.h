/* SPDX-License-Identifier: MIT */
/* Whether what runs is what was asked. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Who is asked about which services; what is found goes into the proof, and is told. */
typedef struct ProofContext {
    Podman *podman;
    const DeployTarget *target;
    DeployProof *proof;
    Report *report;
} ProofContext;

/* Which services are looked at, and how. */
typedef struct ProofScope {
    const Journal *journal; /* those that it made are proved in full */
    const DeployPast *before;
    bool limited; /* to what the order names: of the others only those that ran */
    usec_t settle_usec;
} ProofScope;

int deploy_prove(const ProofContext *p, const ProofScope *scope, Error *err) _must_check_;
/* Until the service is healthy, or has completed. One without a health check is ready once it runs. */
int deploy_wait_ready(const ProofContext *p, const ComposeService *s, bool completed, Error *err) _must_check_;
