/* SPDX-License-Identifier: MIT */
/* What a job prints: progress, line by line, and how it ended. Both sides of a crash see the same result because it is stored
 * before it is said. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Tells what happens, as compose.progress on standard output. state: "started", "done", "failed", "info". */
void deploy_progress(Deploy *d, const char *state, const char *service, const char *fmt, ...) _printf_(4, 5);
/* Starts a phase: names it in what follows and reports it. */
void deploy_phase(Deploy *d, const char *phase);
/* Prints one message line. */
void deploy_emit(const cJSON *message);
