/* SPDX-License-Identifier: MIT */
/* The main container's heartbeat file: whether the program's loop turns, as far as can be seen from outside. */
#pragma once

#include "recovery-agent/verdict.h"

/* Reads the file's content: CLOCK_BOOTTIME in microseconds as decimal digits and a newline. Pure. */
CheckResult heartbeat_judge(const char *text, usec_t now, usec_t stale);
/* A file that has never existed says nothing: not every compose file lets the host see the heartbeat. *seen remembers
 * that it existed. */
CheckResult heartbeat_check(const char *path, usec_t now, usec_t stale, bool *seen);
