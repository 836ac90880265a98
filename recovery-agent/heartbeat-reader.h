/* SPDX-License-Identifier: MIT */
/* The main container's heartbeat file: whether its loop turns, as far as this machine can see. */
#pragma once

#include "recovery-agent/verdict.h"

/* What the file holds: CLOCK_BOOTTIME in microseconds as decimal digits and a newline. Pure. */
CheckResult heartbeat_judge(const char *text, usec_t now, usec_t stale);
/* A file that was never there says nothing: not every compose file shows its heartbeat. *seen remembers that it was. */
CheckResult heartbeat_check(const char *path, usec_t now, usec_t stale, bool *seen);
