/* SPDX-License-Identifier: MIT */
/* What every doctor finds out about the machine's clock. Setting it right once is not enough. */
#pragma once

#include <stdbool.h>

#include "lib/cli/finding.h"

/* Whether the kernel says that somebody keeps it right. */
bool clock_is_synchronised(void);
void finding_of_time_sync(Finding *f);
