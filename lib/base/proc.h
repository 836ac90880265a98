/* SPDX-License-Identifier: MIT */
/* What the kernel says of a process. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "lib/base/clock.h"

/* Start time in clock ticks since boot (proc(5), stat field 22), which with the pid names one process for good; 0 when it
 * does not live. */
uint64_t process_start_ticks(pid_t pid);
/* The same by the wall clock, as far as that has not been set since; 0 when it does not live. The times of /proc/PID are
 * others: those of somebody's first look. */
usec_t process_started(pid_t pid);
