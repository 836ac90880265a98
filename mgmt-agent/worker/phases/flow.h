/* SPDX-License-Identifier: MIT */
/* How a change of the box begins, goes on and ends: what a push, an update and a recreation have in common. Each way out stores
 * and prints its compose.result; what they return is the job's exit status. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* exit status: nothing is wrong with the job, podman or the disk is; the agent starts it again after a pause */
#define EXIT_TRY_AGAIN 2
/* how often a rollback that was interrupted is taken up again */
#define ROLLBACK_TRIES_MAX 3
/* how often a commit that could not be written down is */
#define COMMIT_TRIES_MAX 3

/* Writes the journal's first entry: something is under way, and nothing of it has been touched. */
int flow_begin(Deploy *d, Error *err) _must_check_;

/* All is prepared (d->plan says what changes): applies, proves and concludes, or undoes. */
int flow_change(Deploy *d);

/* Proved or not: the ways out, each from the state that the journal is in. */
int flow_commit(Deploy *d);
int flow_roll_back(Deploy *d, const Error *failure, int failure_r, const char *failed_phase);

/* Refused before the journal knew of it; and before anything was touched. */
int flow_refuse(Deploy *d, const Error *err, int r);
int flow_fail_untouched(Deploy *d, const Error *err, int r);
