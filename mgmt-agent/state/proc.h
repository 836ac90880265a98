/* SPDX-License-Identifier: MIT */
/* What the kernel says of a process. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Start time in clock ticks since boot (proc(5), stat field 22), which with the pid names one process for good; 0 when it
 * does not live. */
uint64_t process_start_ticks(pid_t pid);
