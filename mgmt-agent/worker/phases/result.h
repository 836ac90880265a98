/* SPDX-License-Identifier: MIT */
/* How a change ended. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* HTTP-like status for a failure in a phase. */
int deploy_status_for(const char *phase, const Error *err);
/* Prints compose.result, of what was refused before the journal knew of it: not stored, the asker may send it again. */
void deploy_answer(Deploy *d, const char *outcome, int status, const Error *failure, int r);
/* Stores and prints compose.result, then leaves the journal by `last` (EVENT_FINISHED, EVENT_FAILED). */
int deploy_finish(Deploy *d, const char *outcome, int status, const Error *failure, int r, DeployEvent last);
