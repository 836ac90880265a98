/* SPDX-License-Identifier: MIT */
/* The phases between `verify` and `confirm`: one table, and what runs along it. What is special about a push, an update, a
 * service that is made anew or a plan stands before or behind it, or between two parts of it. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* In the order in which they run. */
typedef enum PhaseId {
    PHASE_PARSE,
    PHASE_POLICY,
    PHASE_ENV_ENSURE,
    PHASE_ENV_SANITY,
    PHASE_RENDER,
    PHASE_PREFLIGHT,
    PHASE_PULL,
    PHASE_APPLY,
    PHASE_PROVE,
} PhaseId;

/* Runs them one after the other, each reported as it starts, up to the first that fails; d->report.phase then names it. */
int phases_run(Deploy *d, PhaseId first, PhaseId last, Error *err) _must_check_;

/* What a change would be: the same phases, of which nothing is written, pulled or touched. */
int phases_plan(Deploy *d, Error *err) _must_check_;
