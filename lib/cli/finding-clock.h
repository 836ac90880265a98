/* SPDX-License-Identifier: MIT */
/* What every doctor finds out about the machine's clock. Setting it right once is not enough. */
#pragma once

#include "lib/cli/finding.h"

/* Whether somebody keeps it right. */
void finding_of_time_sync(Finding *f);
