/* SPDX-License-Identifier: MIT */
/* What every doctor finds out about the machine's clock. Setting it right once is not enough. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/cli/finding.h"

/* Whether the kernel says that somebody keeps it right. */
bool clock_is_synchronised(void);
/* The time as far as it is known to be right: the machine's own where something keeps it so, else the gateway's as recovery-agent
 * has heard it. False: *ret is what the machine's clock says, which can be anything, 1970 or years ahead. */
bool clock_known_time(usec_t *ret);
void finding_of_time_sync(Finding *f);
